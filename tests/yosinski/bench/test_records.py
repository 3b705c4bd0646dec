"""Data from records of several kinds, in little: what is measured is what is said, and memory stays flat."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from yosinski.bench import memory, prepare, records
from yosinski.bench.databases import write_noise
from yosinski.bench.pictures import jpeg, picture


def test_encoded_and_index() -> None:
    made = [records.encoded(rounds=1, images=8, batch=4), records.index(rounds=1, images=8, batch=4)]
    assert [comparison.work for comparison in made] == [8, 8]
    assert [comparison.ratios[0].goal for comparison in made] == [0.85, 0.9]
    assert all(comparison.value(comparison.ratios[0]) > 0 for comparison in made)


def test_delivery_reads_ahead_no_more_than_it_takes(tmp_path: Path) -> None:
    write_noise(tmp_path / "lmdb", 8)
    reader = records.open_reader(tmp_path / "lmdb", 4)
    run = records.delivery(reader, 16)
    run()
    begun = reader.state()["records"]
    run()
    assert reader.state()["records"] - begun == 16
    reader.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("kind", ["raw", "encoded"])
def test_memory_is_flat(tmp_path: Path, kind: str) -> None:
    if kind == "raw":
        write_noise(tmp_path / "lmdb", 64)
    else:
        records.write_jpegs(tmp_path / "lmdb", 64)
    used = memory.while_reading(tmp_path / "lmdb", 3200, 32)
    assert len(used) == memory.STEPS
    assert max(used[5:]) - used[4] < 25, "an image leaves less than 10 kB; one has 154 kB"


def test_prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (made,) = prepare.measure(2 * prepare.CLASSES)
    assert made.rate("data prepare") > 0 and 0 < float(made.facts["cores busy"]) <= float(made.facts["cores"]) + 0.1
    assert not list(tmp_path.iterdir())


def test_pictures() -> None:
    assert picture(1, 40, 60).shape == (40, 60, 3)
    assert np.array_equal(picture(1, 40, 60), picture(1, 40, 60))
    assert not np.array_equal(picture(1, 40, 60), picture(2, 40, 60))
    assert 20_000 < len(jpeg(1, 375, 500)) < 90_000
