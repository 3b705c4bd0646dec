"""Fashion-MNIST as a study's images: a whole of ten classes, laid out as `yosinski data prepare` lays out ImageNet."""

from __future__ import annotations

from pathlib import Path

from caffe_compat.data.convert import Entry
from yosinski.demo_data import CLASSES, PACKAGED, PARTS, read_part, write_lmdb
from yosinski.lists import of_classes, write_list

# Ten kinds of clothes have no natural half. These two are as unlike: what is worn above the waist, and all else.
ABOVE_THE_WAIST = ("t-shirt", "pullover", "dress", "coat", "shirt")


def write_whole(folder: Path, source: Path = PACKAGED) -> int:
    """Write ``train.txt``, ``train_lmdb`` and the like, unless they are there; the number of images in ``source``."""
    images = 0
    for part in PARTS:
        found = read_part(source, part)
        names = (f"{part}/{CLASSES[label]}/{i:05d}" for i, label in enumerate(found.labels.tolist()))
        write_list(folder / f"{part}.txt", map(Entry, names, found.labels.tolist()))
        if not (folder / f"{part}_lmdb").exists():
            write_lmdb(folder / f"{part}_lmdb", found, list(range(len(CLASSES))), part)
        images += len(found.labels)
    return images


def unlike_half(entries: list[Entry], half: str) -> list[Entry]:
    """The entries of half A or B of the split natman, their classes numbered anew."""
    above = [CLASSES.index(name) for name in ABOVE_THE_WAIST]
    classes = sorted(above) if half == "A" else [i for i in range(len(CLASSES)) if i not in above]
    return of_classes(entries, classes)
