"""Labels of validation images in each of the forms in which they are handed on."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import CaffeError
from yosinski.dataset.labels import read_labels

CLASSES = ["n01440764", "n02084071", "n03791053"]
NAMES = [f"ILSVRC2012_val_{i:08d}.JPEG" for i in range(1, 5)]
LABELS = [2, 0, 1, 2]


def write(path: Path, form: str) -> Path:
    synsets = [CLASSES[label] for label in LABELS]
    if form == "synsets":
        path.write_text("\n".join(synsets) + "\n")
    elif form == "kaggle":
        rows = [f"{name[:-5]},{synset} 1 2 3 4 {synset} 5 6 7 8 " for name, synset in zip(NAMES, synsets)]
        path.write_text("\n".join(["ImageId,PredictionString", *reversed(rows)]) + "\n")
    else:
        path.write_text("".join(f"{name} {label}\n" for name, label in zip(NAMES, LABELS)))
    return path


@pytest.mark.parametrize("form", ["synsets", "kaggle", "list"])
def test_files(tmp_path: Path, form: str) -> None:
    assert read_labels(write(tmp_path / "labels", form), CLASSES)(NAMES) == LABELS


def devkit(folder: Path) -> Path:
    """As ImageNet's: its numbers are not in the order of the synsets, and inner nodes of the tree have some, too."""
    savemat = pytest.importorskip("scipy.io").savemat
    table = np.zeros(4, [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")])
    for row, entry in enumerate([(1, CLASSES[1], "dog", 0), (2, CLASSES[2], "moped", 0), (3, CLASSES[0], "tench", 0)]):
        table[row] = entry
    table[3] = (4, "n00001740", "entity", 3)
    (folder / "data").mkdir(parents=True)
    savemat(folder / "data" / "meta.mat", {"synsets": table.reshape(4, 1)}, do_compression=True)
    (folder / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text("2\n3\n1\n2\n")
    return folder


def test_devkit(tmp_path: Path) -> None:
    folder = devkit(tmp_path / "ILSVRC2012_devkit_t12")
    assert read_labels(folder, CLASSES)(NAMES) == LABELS
    with tarfile.open(tmp_path / "devkit.tar.gz", "w:gz") as tar:
        tar.add(folder, folder.name)
    assert read_labels(tmp_path / "devkit.tar.gz", CLASSES)(NAMES) == LABELS
    truth = folder / "data" / "ILSVRC2012_validation_ground_truth.txt"
    assert read_labels(truth, CLASSES)(NAMES) == LABELS
    truth.write_text("2\n3\n1\n4\n")
    with pytest.raises(CaffeError, match=r"number 4 is none of the 3 in meta\.mat"):
        read_labels(truth, CLASSES)
    (folder / "data" / "meta.mat").write_bytes(b"no such thing" * 99)
    with pytest.raises(CaffeError, match=r"meta\.mat is damaged"):
        read_labels(folder, CLASSES)
    (folder / "data" / "meta.mat").unlink()
    with pytest.raises(CaffeError, match=r"not the devkit: no meta\.mat in it"):
        read_labels(folder, CLASSES)
    with pytest.raises(CaffeError, match=r"need its meta\.mat beside them"):
        read_labels(truth, CLASSES)


def test_classes_of_their_own_without_training_images(tmp_path: Path) -> None:
    assert read_labels(write(tmp_path / "labels", "synsets"), None)(NAMES) == LABELS


@pytest.mark.parametrize("form", ["synsets", "kaggle"])
def test_synset_that_training_does_not_know(tmp_path: Path, form: str) -> None:
    with pytest.raises(CaffeError, match="synset 'n03791053'; the training images have no such class"):
        read_labels(write(tmp_path / "labels", form), CLASSES[:2])


def test_too_few_labels(tmp_path: Path) -> None:
    more = [*NAMES, "ILSVRC2012_val_00000005.JPEG"]
    with pytest.raises(CaffeError, match="4 labels for 5 pictures"):
        read_labels(write(tmp_path / "labels", "synsets"), CLASSES)(more)
    with pytest.raises(CaffeError, match=r"no label for 'ILSVRC2012_val_00000005\.JPEG'; it misses 1 of 5"):
        read_labels(write(tmp_path / "labels", "kaggle"), CLASSES)(more)


def test_no_labels(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="cannot read the labels: No such file"):
        read_labels(tmp_path / "none", CLASSES)
    (tmp_path / "devkit.tar.gz").write_bytes(b"no tar")
    with pytest.raises(CaffeError, match="cannot read the devkit"):
        read_labels(tmp_path / "devkit.tar.gz", CLASSES)
