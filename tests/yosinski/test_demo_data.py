"""The demo's databases: which images, labels and means, made whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.data.mean import read_mean
from caffe_compat.errors import CaffeError
from yosinski import demo_data
from yosinski.demo_data import CLASSES, PACKAGED, SUBSET, make_subset, read_part, write_demo_data
from yosinski.idx import write_idx

HALVES = {"A": [0, 1, 3, 7, 8], "B": [2, 4, 5, 6, 9]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("data") / "new" / "mini"
    assert write_demo_data(target) is True
    return target


def records(path: Path) -> list[tuple[str, int, np.ndarray]]:
    with open_db(path) as db:
        out = []
        for key, record in db.records():
            datum = parse(record)
            out.append((bytes(key).decode(), datum.label, datum.image().copy()))
        return out


def small_set(folder: Path, per_class: int) -> Path:
    """A whole set of the full set's form, where every image is filled with its place in the file."""
    folder.mkdir()
    for stem in ("train", "t10k"):
        labels = np.tile(np.arange(10, dtype=np.uint8), per_class)
        pixels = np.broadcast_to(np.arange(len(labels), dtype=np.uint8)[:, None, None], (len(labels), 28, 28))
        write_idx(folder / f"{stem}-images-idx3-ubyte.gz", np.ascontiguousarray(pixels))
        write_idx(folder / f"{stem}-labels-idx1-ubyte.gz", labels)
    return folder


@pytest.mark.parametrize("half", "AB")
@pytest.mark.parametrize("part", ["train", "valid"])
def test_records(made: Path, half: str, part: str) -> None:
    found = records(made / f"{half}_{part}_lmdb")
    images = read_part(PACKAGED, part)
    assert len(found) == 5 * SUBSET[part]
    seen = set()
    for number, (key, label, image) in enumerate(found):
        position, name, index = key.replace("_", "/", 1).split("/")[0], *key.split("/")[1:]
        assert position == f"{number:08d}"
        original = HALVES[half][label]  # labels count up in the order of the original ids
        assert name == CLASSES[original]
        assert images.labels[int(index)] == original
        np.testing.assert_array_equal(image, images.pixels[int(index)][None])
        seen.add(int(index))
    assert len(seen) == len(found)
    labels = [label for _, label, _ in found]
    assert np.bincount(labels).tolist() == [SUBSET[part]] * 5
    assert len(set(labels[:50])) == 5, "not shuffled"


@pytest.mark.parametrize("half", "AB")
def test_mean(made: Path, half: str) -> None:
    train = read_part(PACKAGED, "train")
    expected = train.pixels[np.isin(train.labels, HALVES[half])].mean(axis=0, dtype=np.float64)
    mean = read_mean(made / f"{half}_mean.binaryproto")
    assert mean.shape == (1, 28, 28)
    np.testing.assert_allclose(mean[0], expected, rtol=1e-5, atol=1e-5)


def test_second_call_does_nothing(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert write_demo_data(made) is False
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    assert [path.name for path in made.parent.iterdir()] == ["mini"]


def test_same_bytes_every_time(made: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_demo_data(tmp_path / "again", progress=lambda done, total: steps.append((done, total)))
    assert steps == [(2000, 5000), (2500, 5000), (4500, 5000), (5000, 5000)]
    for name in ("A_train_lmdb", "B_valid_lmdb"):
        for one, two in zip(records(made / name), records(tmp_path / "again" / name), strict=True):
            assert one[:2] == two[:2]
    assert (made / "A_mean.binaryproto").read_bytes() == (tmp_path / "again/A_mean.binaryproto").read_bytes()


def test_incomplete_data_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_data, "PACKAGED", small_set(tmp_path / "small", 2))
    target = tmp_path / "mini"
    assert write_demo_data(target)
    (target / "B_mean.binaryproto").unlink()
    assert write_demo_data(target)
    assert (target / "B_mean.binaryproto").is_file()


def test_full_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_data, "PACKAGED", small_set(tmp_path / "part", 1))
    monkeypatch.setattr(demo_data, "FULL", (tmp_path / "none", small_set(tmp_path / "full", 3)))
    target = tmp_path / "mini"
    assert write_demo_data(target)
    assert len(records(target / "A_train_lmdb")) == 5
    assert write_demo_data(target, full=True), "data of another kind must give way"
    assert len(records(target / "A_train_lmdb")) == 15
    manifest = json.loads((target / "manifest.json").read_text())
    assert manifest["records"] == {"A_train": 15, "A_valid": 15, "B_train": 15, "B_valid": 15}
    assert manifest["classes"]["A"] == ["t-shirt", "trouser", "dress", "sneaker", "bag"]


def test_full_set_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_data, "FULL", (tmp_path / "none",))
    with pytest.raises(CaffeError, match=r"none: apt-get install dataset-fashion-mnist brings it$"):
        write_demo_data(tmp_path / "mini", full=True)
    assert not (tmp_path / "mini").exists()


def test_something_else_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "thesis.tex").write_text("years of work")
    with pytest.raises(CaffeError, match="mini: exists, and is no demo data"):
        write_demo_data(tmp_path / "mini")
    assert (tmp_path / "mini" / "thesis.tex").read_text() == "years of work"


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_data, "PACKAGED", small_set(tmp_path / "small", 2))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo_data(tmp_path / "mini", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_damaged_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_set(tmp_path / "small", 2)
    monkeypatch.setattr(demo_data, "PACKAGED", folder)
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.full(20, 10, np.uint8))
    with pytest.raises(CaffeError, match="small: a label 10 in part train; expected 0 to 9"):
        write_demo_data(tmp_path / "mini")
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros(19, np.uint8))
    with pytest.raises(CaffeError, match=r"shape \[20, 28, 28\] for 19 labels"):
        write_demo_data(tmp_path / "mini")


def test_subset_takes_the_first_of_each_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_data, "SUBSET", {"train": 2, "valid": 1})
    make_subset(small_set(tmp_path / "full", 4), tmp_path / "part")
    train, valid = read_part(tmp_path / "part", "train"), read_part(tmp_path / "part", "valid")
    assert train.labels.tolist() == [*range(10), *range(10)]
    assert train.pixels[:, 0, 0].tolist() == list(range(20))
    assert valid.labels.tolist() == list(range(10))


def test_packaged_part_comes_from_the_full_set(tmp_path: Path) -> None:
    try:
        full = demo_data.find_full()
    except CaffeError as error:
        pytest.skip(str(error))
    make_subset(full, tmp_path)
    for part in ("train", "valid"):
        made, packaged = read_part(tmp_path, part), read_part(PACKAGED, part)
        np.testing.assert_array_equal(made.pixels, packaged.pixels)
        np.testing.assert_array_equal(made.labels, packaged.labels)


def test_packaged_part_is_licensed() -> None:
    assert "MIT License" in (PACKAGED / "LICENSE.fashion-mnist").read_text(encoding="utf-8")
