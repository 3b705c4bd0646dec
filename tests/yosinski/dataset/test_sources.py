"""Pictures found wherever they lie, and always listed alike."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from caffe_compat.errors import CaffeError
from yosinski.dataset.sources import find_images

SYNSETS = ("n01440764", "n02084071", "n03791053")
TRAIN = [(f"{synset}/{synset}_{i}.JPEG", label) for label, synset in enumerate(SYNSETS) for i in (10, 7, 8, 9)]
VALID = [(f"ILSVRC2012_val_{i:08d}.JPEG", (i - 1) % 3) for i in range(1, 7)]


@pytest.mark.parametrize("form", ["train", "class_tars", "tar_of_tars", "tar of folders"])
def test_training_images(form: str, train: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if form == "tar of folders":
        source = tmp_path / "folders.tar"
        with tarfile.open(source, "w") as tar:
            tar.add(train, ".")
    else:
        source = request.getfixturevalue(form)
    found = find_images(source)
    assert [image[:2] for image in found.images] == TRAIN
    assert found.classes == list(SYNSETS)
    for image in found.images:
        assert image.read() == (train / image.name).read_bytes()


@pytest.mark.parametrize("form", ["flat", "tar", "tar with a folder", "sorted"])
def test_validation_images_are_listed_by_number(form: str, valid: Path, tmp_path: Path) -> None:
    contents = {file.name: file.read_bytes() for file in valid.iterdir()}
    source = valid if form in ("flat", "sorted") else tmp_path / "val.tar"
    if form.startswith("tar"):
        with tarfile.open(source, "w") as tar:
            tar.add(valid, "val" if "folder" in form else ".")
    if form == "sorted":
        for name, label in VALID:
            (valid / SYNSETS[label]).mkdir(exist_ok=True)
            (valid / name).rename(valid / SYNSETS[label] / name)
    found = find_images(source, lambda names: [dict(VALID)[name] for name in names], list(SYNSETS))
    assert [image[:2] for image in found.images] == VALID
    assert [image.read() for image in found.images] == [contents[name] for name, _ in VALID]


def test_list(train: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("b.JPEG 1\nn01440764/n01440764_9.JPEG 0\n")
    (train / "b.JPEG").write_bytes(b"b")
    found = find_images(tmp_path / "list", root=train)
    assert [image[:2] for image in found.images] == [("b.JPEG", 1), ("n01440764/n01440764_9.JPEG", 0)]
    assert (found.images[0].read(), found.classes) == (b"b", None)
    (tmp_path / "b.JPEG").write_bytes(b"beside the list")
    assert find_images(tmp_path / "list").images[0].read() == b"beside the list"


def test_image_folder_of_any_depth(train: Path) -> None:
    (train / "n01440764" / "more").mkdir()
    (train / "n01440764" / "n01440764_9.JPEG").rename(train / "n01440764" / "more" / "x.PNG")
    (train / "n01440764" / "notes.txt").write_text("no picture")
    (train / "n01440764" / "._n01440764_8.JPEG").write_text("left by another system")
    names = [image.name for image in find_images(train).images if image.label == 0]
    assert names == ["n01440764/more/x.PNG", *(f"n01440764/n01440764_{i}.JPEG" for i in (10, 7, 8))]


def test_class_without_pictures(train: Path, class_tars: Path) -> None:
    (train / "n09999999").mkdir()
    with pytest.raises(CaffeError, match="n09999999: a class without pictures"):
        find_images(train)
    with tarfile.open(class_tars / "n09999999.tar", "w"):
        pass
    with pytest.raises(CaffeError, match="n09999999: a class without pictures"):
        find_images(class_tars)


def test_class_that_training_does_not_know(train: Path) -> None:
    with pytest.raises(CaffeError, match="class 'n01440764' and 1 more; the training images have no such class"):
        find_images(train, classes=["n02084071"])


def test_twice_the_same_name(valid: Path, tmp_path: Path) -> None:
    for synset in SYNSETS[:2]:
        (tmp_path / "twice" / synset).mkdir(parents=True)
        (tmp_path / "twice" / synset / "ILSVRC2012_val_00000001.JPEG").write_bytes(b"")
    with pytest.raises(
        CaffeError, match=r"'ILSVRC2012_val_00000001\.JPEG' is there twice: in .*n01440764.* and .*n02084071"
    ):
        find_images(tmp_path / "twice")


def test_flat_pictures_without_labels(valid: Path) -> None:
    with pytest.raises(CaffeError, match="pictures without folders of classes need labels"):
        find_images(valid)


def test_flat_pictures_beside_folders(train: Path) -> None:
    (train / "stray.jpg").write_bytes(b"")
    with pytest.raises(CaffeError, match=r"pictures beside folders of classes, such as stray\.jpg"):
        find_images(train)


@pytest.mark.parametrize("content", [None, b"", b"nothing"])
def test_nothing_there(tmp_path: Path, content: bytes | None) -> None:
    source = tmp_path / "source"
    if content is None:
        with pytest.raises(CaffeError, match="no such folder, tar or list"):
            find_images(source)
        source.mkdir()
        with pytest.raises(CaffeError, match="no pictures"):
            find_images(source)
    else:
        source.write_bytes(content)
        with pytest.raises(CaffeError, match="source"):
            find_images(source)


def test_truncated_tar(tar_of_tars: Path) -> None:
    tar_of_tars.write_bytes(tar_of_tars.read_bytes()[:4000])
    with pytest.raises(CaffeError, match=r"train\.tar: cannot read"):
        find_images(tar_of_tars)
