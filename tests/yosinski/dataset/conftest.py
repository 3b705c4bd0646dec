"""Small collections of pictures in the forms that ImageNet comes in."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SYNSETS = ("n01440764", "n02084071", "n03791053")
PER_CLASS = 4

Jpeg = Callable[..., bytes]


@pytest.fixture(scope="session")
def jpeg() -> Jpeg:
    """``jpeg(seed)``: the bytes of a small JPEG, of another content for each seed."""
    import cv2

    def make(seed: int = 0, height: int = 30, width: int = 40) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (height // 5, width // 5, 3), np.uint8)
        large = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
        return bytes(cv2.imencode(".jpg", large)[1].tobytes())

    return make


@pytest.fixture
def train(tmp_path: Path, jpeg: Jpeg) -> Path:
    """Folders of classes; the numbers of the files are not in the order of their names."""
    folder = tmp_path / "train"
    for c, synset in enumerate(SYNSETS):
        (folder / synset).mkdir(parents=True)
        for i in range(PER_CLASS):
            (folder / synset / f"{synset}_{7 + i}.JPEG").write_bytes(jpeg(10 * c + i))
    return folder


@pytest.fixture
def valid(tmp_path: Path, jpeg: Jpeg) -> Path:
    """A flat folder; picture n is of class (n - 1) mod 3."""
    folder = tmp_path / "val"
    folder.mkdir()
    for i in range(6):
        (folder / f"ILSVRC2012_val_{i + 1:08d}.JPEG").write_bytes(jpeg(100 + i))
    return folder


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def class_tars(tmp_path: Path, train: Path) -> Path:
    """The folder of tars, one a class, that the training tar holds."""
    folder = tmp_path / "tars"
    folder.mkdir()
    for synset in SYNSETS:
        with tarfile.open(folder / f"{synset}.tar", "w") as tar:
            for file in sorted((train / synset).iterdir()):
                add(tar, file.name, file.read_bytes())
    return folder


@pytest.fixture
def tar_of_tars(tmp_path: Path, class_tars: Path) -> Path:
    path = tmp_path / "ILSVRC2012_img_train.tar"
    with tarfile.open(path, "w") as tar:
        for file in sorted(class_tars.iterdir(), reverse=True):
            add(tar, file.name, file.read_bytes())
    return path
