"""Databases and records damaged at random: the program ends with a result or with one line, never with a signal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest


def ends_well(checker: Any, model: Path, db: Path, *arguments: object) -> bool:
    """Whether it succeeded; what else may happen is one line."""
    done = checker.run("--model", model, "--db", db, *arguments)
    if done.returncode == 0:
        return True
    assert done.returncode == 1 and done.stderr.startswith("onnx_check: ") and done.stderr.count("\n") == 1, done.stderr
    return False


@pytest.fixture
def db(make: Any) -> Path:
    rng = np.random.default_rng(0)
    return make.db(make.datum(rng.integers(0, 256, (3, 20, 20), dtype=np.uint8), i % 10) for i in range(60))


def test_truncated_at_any_place(checker: Any, make: Any, db: Path) -> None:
    whole = (db / "data.mdb").read_bytes()
    for length in np.linspace(0, len(whole) - 1, 12).astype(int):
        (db / "data.mdb").write_bytes(whole[:length])
        assert not ends_well(checker, make.identity(), db)


def test_pages_overwritten(checker: Any, make: Any, db: Path) -> None:
    whole = (db / "data.mdb").read_bytes()
    rng = np.random.default_rng(1)
    model = make.identity()
    failures = 0
    for _ in range(15):
        damaged = bytearray(whole)
        at = int(rng.integers(0, len(whole) - 4096))
        damaged[at : at + 4096] = rng.bytes(4096) if rng.random() < 0.5 else bytes(4096)
        (db / "data.mdb").write_bytes(damaged)
        failures += not ends_well(checker, model, db)
    assert failures > 0


def test_records_mutated(checker: Any, make: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    image = cv2.GaussianBlur(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8), (0, 0), 2)
    originals = [
        make.datum(image.transpose(2, 0, 1).copy()),
        make.datum(rng.normal(size=(2, 3, 4)).astype(np.float32), packed=True),
        make.datum(cv2.imencode(".jpg", image)[1].tobytes()),
        make.datum(cv2.imencode(".png", image)[1].tobytes()),
    ]
    for i in range(24):
        record = bytearray(originals[i % len(originals)])
        for at in rng.integers(0, min(len(record), 200), 3):
            record[at] = rng.integers(0, 256)
        if i % 3 == 0:
            del record[int(rng.integers(1, len(record))) :]
        maker = type(make)(tmp_path / str(i))
        maker.folder.mkdir()
        ends_well(checker, make.identity(), maker.db([bytes(record)]))
