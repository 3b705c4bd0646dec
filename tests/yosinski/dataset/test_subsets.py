"""Halves and reduced sets over one database of the whole, and their means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.data.convert import convert_imageset
from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.data.index_db import write_index
from caffe_compat.data.mean import compute_image_mean
from caffe_compat.errors import CaffeError
from yosinski.dataset.build import Recipe
from yosinski.dataset.means import index_means
from yosinski.dataset.prepare import Origin, prepare
from yosinski.dataset.subsets import STUDY, materialise_subset, read_whole, record_keys, subset, write_subset
from yosinski.splits import database_order, random_half

CLASSES, IMAGES = 6, 5
SIZE = (9, 11)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of six classes; one picture was left out. The pictures are beside it."""
    import cv2

    root = tmp_path_factory.mktemp("subsets")
    random = np.random.default_rng(8)
    for c in range(CLASSES):
        (root / "train" / f"c{c}").mkdir(parents=True)
        for i in range(IMAGES):
            cv2.imwrite(str(root / "train" / f"c{c}" / f"{i}.png"), random.integers(0, 256, (20, 20, 3), np.uint8))
    (root / "train" / "c0" / "1.png").write_bytes(b"none")
    prepare(root / "data", Origin(root / "train"), Recipe(SIZE))
    return root / "data"


def write(folder: Path, dataset: str, order: str = "2014", seed: int = 0) -> Path:
    entries = read_whole(folder, "train")
    keys = record_keys(folder, "train", entries)
    assert write_subset(folder, dataset, "train", entries, keys, order, seed) is None
    return folder / f"{dataset}_train.index"


@pytest.mark.parametrize("dataset", ["half0A", "half0B", "half7A", "reduced0001", "reduced0004"])
@pytest.mark.parametrize(("order", "seed"), [("2014", 0), ("caffe", 4), ("list", 0)])
def test_same_database_as_from_its_own_list(folder: Path, tmp_path: Path, dataset: str, order: str, seed: int) -> None:
    """Byte for byte what convert_imageset makes of the dataset's list, in its order."""
    index = write(folder, dataset, order, seed)
    lines = index.with_suffix(".txt").read_text().splitlines()
    shuffled = "".join(lines[i] + "\n" for i in database_order(len(lines), order, seed))
    (tmp_path / "list").write_text(shuffled)
    convert_imageset(folder.parent / "train", tmp_path / "list", tmp_path / "db", resize=SIZE)
    target = folder / f"{dataset}_train_lmdb"
    assert materialise_subset(folder, dataset, "train") == target
    with open_db(tmp_path / "db") as theirs, open_db(target) as ours, open_db(index) as reads:
        expected = [(bytes(key), bytes(record)) for key, record in theirs.records()]
        assert [(bytes(key), bytes(record)) for key, record in ours.records()] == expected
        images = [(parse(record).image().tobytes(), parse(record).label) for _, record in reads.records()]
        assert images == [(parse(record).image().tobytes(), parse(record).label) for _, record in expected]
    assert materialise_subset(folder, dataset, "train") == target, "one that is there is left alone"
    for file in target.iterdir():
        file.unlink()
    target.rmdir()


def test_lists(folder: Path) -> None:
    entries = read_whole(folder, "train")
    a, b = random_half(CLASSES, 2)
    for half, ids in (("A", a), ("B", b)):
        chosen = subset(entries, f"half2{half}", CLASSES)
        assert [(name, label) for name, label in chosen] == [(n, ids.index(c)) for n, c in entries if c in ids]
    reduced = subset(entries, "reduced0002", CLASSES)
    assert [entry.name for entry in reduced] == [f"c{c}/{i}.png" for c in range(CLASSES) for i in (0, 1)]


def test_those_of_the_study() -> None:
    assert len(STUDY) == 10 + 11 and len(set(STUDY)) == 21
    assert {"half3B", "halfnatmanA", "reduced0001", "reduced1000"} <= set(STUDY)
    assert "reduced1300" not in STUDY, "that is the whole"


@pytest.mark.parametrize("name", ["half0C", "half-1A", "reduced0000", "reduced10", "whole", ""])
def test_no_dataset(folder: Path, name: str) -> None:
    with pytest.raises(CaffeError, match="is no dataset of the study"):
        subset(read_whole(folder, "train"), name, CLASSES)


def test_means_in_one_pass(folder: Path) -> None:
    """Each is the exact mean, rounded once; Caffe's own, summed in its order, is close but not equal."""
    names = ["half0A", "half0B", "half1A", "reduced0001", "reduced0003"]
    indices = {name: write(folder, name) for name in names}
    means = index_means(folder / "train_lmdb", indices)
    assert list(means) == ["whole", *names]
    for name, path in {"whole": folder / "train_lmdb", **indices}.items():
        with open_db(path) as db:
            images = [parse(record).image().astype(np.float64) for _, record in db.records()]
        assert means[name].shape == (3, *SIZE) and means[name].dtype == np.float32
        assert np.array_equal(means[name], (sum(images) / len(images)).astype(np.float32))
        np.testing.assert_allclose(means[name], compute_image_mean(path), rtol=1e-6)


def test_mean_over_another_database(folder: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "data", Origin(folder.parent / "train"), Recipe(SIZE))
    with pytest.raises(CaffeError, match=r"half0A_train\.index: an index over .*; expected"):
        index_means(tmp_path / "data" / "train_lmdb", {"half0A": write(folder, "half0A")})


def test_mean_of_nothing(folder: Path) -> None:
    write_index(folder / "none.index", folder / "train_lmdb", [None])
    with pytest.raises(CaffeError, match="no images to take the mean of"):
        index_means(folder / "train_lmdb", {"none": folder / "none.index"})
    (folder / "none.index").unlink()


def test_mean_of_images_of_several_sizes(tmp_path: Path) -> None:
    import cv2

    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((5 + i, 5), np.uint8))
    (tmp_path / "list").write_text("0.png 0\n1.png 0\n")
    convert_imageset(tmp_path, tmp_path / "list", tmp_path / "db")
    with pytest.raises(CaffeError, match=r"record '00000001_1\.png': uint8 \[3, 6, 5\]; expected uint8 \[3, 5, 5\]"):
        index_means(tmp_path / "db", {})


def test_database_without_a_picture_of_the_list(folder: Path) -> None:
    entries = [*read_whole(folder, "train"), read_whole(folder, "train")[0]._replace(name="c0/other.png")]
    with pytest.raises(CaffeError, match=r"train_lmdb: no record of 'c0/other\.png', which train\.txt has"):
        record_keys(folder, "train", entries)
    with pytest.raises(CaffeError, match="no valid_lmdb here; `yosinski data prepare"):
        record_keys(folder, "valid", entries)
