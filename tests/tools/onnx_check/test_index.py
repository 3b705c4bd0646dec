"""An index over an LMDB: another order, other labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCORES = np.random.default_rng(5).integers(0, 1000, (9, 4)).astype(np.float32)
LINES = [(8, 3), None, (0, 2), (4, 0), (4, 1), (3, 3)]  # record and its label


def index(make: Any, lines: list[str]) -> Path:
    make.scores_db(SCORES, [0] * len(SCORES))
    path = make.folder / "some" / "half.index"
    path.parent.mkdir(exist_ok=True)
    path.write_text("index of ../db\n" + "".join(line + "\n" for line in lines))
    return path


def test_order_and_labels(checker: Any, make: Any) -> None:
    path = index(make, [f"{line[0]:08d}_image {line[1]}" if line else "" for line in LINES])
    dump = make.folder / "prob.f32"
    report = checker.report("--model", make.identity(), "--db", path, "--batch", 2, "--dump", dump)
    places, labels = (np.array(column) for column in zip(*filter(None, LINES)))
    assert np.array_equal(np.fromfile(dump, "<f4").reshape(5, 4), SCORES[places])
    assert report["images"] == 5
    assert report["top1"] == pytest.approx(np.mean(SCORES[places].argmax(1) == labels))
    assert checker.report("--model", make.identity(), "--db", path, "--limit", 3)["images"] == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["00000003_image"], "half.index:2: expected a key, a blank and a label"),
        (["", "00000003_image 1x"], "half.index:3: expected a key, a blank and a label"),
        (["00000077_image 1"], "record 00000077_image: not in"),
        ([], "the database is empty"),
    ],
)
def test_wrong_lines(checker: Any, make: Any, lines: list[str], message: str) -> None:
    assert message in checker.error("--model", make.identity(), "--db", index(make, lines))


def test_wrong_file(checker: Any, make: Any) -> None:
    path = index(make, [])
    path.write_text("index of ../db\n00000003_image 1")
    assert "a truncated index" in checker.error("--model", make.identity(), "--db", path)
    path.write_text("index of nowhere\n")
    assert "some/nowhere: No such file" in checker.error("--model", make.identity(), "--db", path)
    path.write_text("another file\n")
    assert "nor an index" in checker.error("--model", make.identity(), "--db", path)
