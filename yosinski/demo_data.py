"""The demo's images: Fashion-MNIST, or the part of it inside this package, in two halves of five classes, as LMDBs."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.data.mean import compute_image_mean
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress
from caffe_compat.proto import caffe_pb2
from yosinski.idx import read_idx, write_idx
from yosinski.splits import random_half

PACKAGED = Path(__file__).parent / "demo_images"
# Where Debian's dataset-fashion-mnist and torchvision put the full set.
FULL = (
    Path("/usr/share/datasets/fashion-mnist"),
    Path("data/FashionMNIST/raw"),
    Path("~/data/FashionMNIST/raw").expanduser(),
)
CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
PARTS = {"train": "train", "valid": "t10k"}  # our names for the two parts, and those of the original files
SUBSET = {"train": 400, "valid": 100}  # images a class inside the package
SEED = 0
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Images:
    """``pixels``: uint8 (N, 28, 28); ``labels``: uint8 (N,), indices of `CLASSES`."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def write_demo_data(
    target: str | os.PathLike[str] = "data/mini", full: bool = False, progress: Progress | None = None
) -> bool:
    """Make ``target``: LMDBs ``{A,B}_{train,valid}_lmdb``, ``{A,B}_mean.binaryproto`` and a manifest.

    A and B are random halves of the ten classes, their labels renumbered from 0 in ascending order of the class.
    Records are raw Datums of 1 x 28 x 28, in an order shuffled once and for all. The folder appears whole or not at
    all; one that is there already with the same content is left alone.

    Args:
        full: take the full Fashion-MNIST where this machine has it, instead of the packaged part.

    Returns:
        Whether anything was written. CaffeError if the full set is missing, an image file is damaged, or ``target``
        is something else than demo data.
    """
    target = Path(target)
    halves = dict(zip("AB", random_half(len(CLASSES), SEED), strict=True))
    parts = {part: read_part(find_full() if full else PACKAGED, part) for part in PARTS}
    manifest: dict[str, Any] = {
        "images": "Fashion-MNIST, full" if full else "Fashion-MNIST, packaged part",
        "seed": SEED,
        "classes": {half: [CLASSES[index] for index in ids] for half, ids in halves.items()},
        "records": {
            f"{half}_{part}": int(np.isin(images.labels, ids).sum())
            for half, ids in halves.items()
            for part, images in parts.items()
        },
    }
    if target.exists() and not _replaceable(target, manifest):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    folder = work / "new"
    try:
        folder.mkdir()
        done, total = 0, sum(len(images.labels) for images in parts.values())
        for half, ids in halves.items():
            for part, images in parts.items():
                done += write_lmdb(folder / f"{half}_{part}_lmdb", images, ids, part)
                if progress:
                    progress(done, total)
            compute_image_mean(folder / f"{half}_train_lmdb", folder / f"{half}_mean.binaryproto")
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if target.exists():
            target.rename(work / "old")
        folder.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return True


def make_subset(full_dir: str | os.PathLike[str], out_dir: str | os.PathLike[str]) -> None:
    """Make the packaged part from the full set: the first images of each class, in the order of the files."""
    for part, stem in PARTS.items():
        images = read_part(Path(full_dir), part)
        of_class = [np.flatnonzero(images.labels == label)[: SUBSET[part]] for label in range(len(CLASSES))]
        chosen = np.sort(np.concatenate(of_class))
        write_idx(Path(out_dir) / f"{stem}-images-idx3-ubyte.gz", images.pixels[chosen])
        write_idx(Path(out_dir) / f"{stem}-labels-idx1-ubyte.gz", images.labels[chosen])


def find_full() -> Path:
    """The folder of the full set on this machine. CaffeError, saying how to get it, if there is none."""
    for folder in FULL:
        if all(_idx_file(folder, stem, "images-idx3").is_file() for stem in PARTS.values()):
            return folder
    places = ", ".join(map(str, FULL))
    raise CaffeError(f"the full Fashion-MNIST is in none of {places}: apt-get install dataset-fashion-mnist brings it")


def read_part(folder: Path, part: str) -> Images:
    """The part ``train`` or ``valid`` of the set in ``folder``. CaffeError if it is damaged."""
    file = _idx_file(folder, PARTS[part], "images-idx3")
    pixels, labels = read_idx(file), read_idx(_idx_file(folder, PARTS[part], "labels-idx1"))
    if pixels.shape != (len(labels), 28, 28) or labels.ndim != 1:
        raise CaffeError(f"{file}: shape {list(pixels.shape)} for {labels.size} labels; expected images of 28 x 28")
    if labels.size and labels.max() >= len(CLASSES):
        raise CaffeError(f"{file.parent}: a label {labels.max()} in part {part}; expected 0 to {len(CLASSES) - 1}")
    return Images(pixels, labels)


def _idx_file(folder: Path, stem: str, what: str) -> Path:
    """The file with or without .gz; Debian and torchvision differ in that."""
    plain = folder / f"{stem}-{what}-ubyte"
    return plain if plain.is_file() else plain.with_name(f"{plain.name}.gz")


def write_lmdb(path: Path, images: Images, ids: list[int], part: str) -> int:
    """Write the images of the classes ``ids``, shuffled, and return their number.

    Keys are of convert_imageset's form, position and path; the path tells the class and the place in the image file.
    """
    mine = np.flatnonzero(np.isin(images.labels, ids))
    order = np.random.RandomState([SEED]).permutation(mine)
    with create_db(path, "lmdb") as db:
        for number, index in enumerate(order.tolist()):
            pixels, label = images.pixels[index], int(images.labels[index])
            datum = caffe_pb2.Datum(channels=1, height=28, width=28, data=pixels.tobytes(), label=ids.index(label))
            db.put(f"{number:08d}_{part}/{CLASSES[label]}/{index:05d}".encode(), serialize(datum))
    return len(order)


def _replaceable(target: Path, manifest: dict[str, Any]) -> bool:
    """False: ``target`` is the wanted data. True: it is demo data of another kind. CaffeError: it is not ours."""
    try:
        found = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if target.is_dir() and not any(target.iterdir()):
            return True
        raise CaffeError(f"{target}: exists, and is no demo data; move it away or name another folder") from None
    files = ("train_lmdb/data.mdb", "valid_lmdb/data.mdb", "mean.binaryproto")
    return found != manifest or not all((target / f"{half}_{file}").is_file() for half in "AB" for file in files)
