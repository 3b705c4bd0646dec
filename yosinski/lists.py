"""List files, lines of ``name label``: read, split by class, cut down, and compared with the published ones."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from caffe_compat.atomic import writing
from caffe_compat.data.convert import Entry, read_list
from caffe_compat.errors import CaffeError
from yosinski.splits import FACTS


def read_images(path: str | Path, num_classes: int | None = None) -> list[Entry]:
    """Entries of a list file in its order; empty lines are left out.

    CaffeError, naming the line, for a name that is there twice, for a label below 0 or, with ``num_classes``, at or
    above that number, and for a list without images.
    """
    first: dict[str, int] = {}
    entries = []
    for number, entry in enumerate(read_list(path), 1):
        if entry is None:
            continue
        if entry.name in first:
            raise CaffeError(f"{path}:{number}: {entry.name!r} is also in line {first[entry.name]}")
        first[entry.name] = number
        if entry.label < 0 or (num_classes is not None and entry.label >= num_classes):
            expected = "0 or more" if num_classes is None else f"0 to {num_classes - 1}"
            raise CaffeError(f"{path}:{number}: label {entry.label}; expected {expected}")
        entries.append(entry)
    if not entries:
        raise CaffeError(f"{path}: no images in this list")
    return entries


def write_list(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write a list file, whole or not at all."""
    with writing(path) as temporary:
        temporary.write_bytes(list_text(entries))


def list_text(entries: Iterable[Entry]) -> bytes:
    """The bytes of a list file."""
    return b"".join(b"%s %d\n" % (os.fsencode(name), label) for name, label in entries)


def of_classes(entries: Iterable[Entry], classes: Sequence[int]) -> list[Entry]:
    """The entries of these classes, in the same order, the classes numbered anew by their place in ``classes``."""
    new = {old: place for place, old in enumerate(classes)}
    return [Entry(entry.name, new[entry.label]) for entry in entries if entry.label in new]


def first_of_each_class(entries: Iterable[Entry], count: int) -> list[Entry]:
    """The first ``count`` entries of each class, in the same order, labels as they are."""
    seen: Counter[int] = Counter()
    chosen = []
    for entry in entries:
        seen[entry.label] += 1
        if seen[entry.label] <= count:
            chosen.append(entry)
    return chosen


def published_name(entries: Iterable[Entry]) -> tuple[str, str | None]:
    """The md5 sum of a list's file, and which of the study's lists it is, such as half0A_valid; None: none of them."""
    digest = hashlib.md5(list_text(entries), usedforsecurity=False).hexdigest()
    return digest, next((name for name, md5 in published().items() if md5 == digest), None)


def published() -> dict[str, str]:
    """The md5 sums of the study's lists, by name, as their authors gave them."""
    with (FACTS / "published_md5.csv").open(encoding="utf-8", newline="") as file:
        return {row["list"]: row["md5"] for row in csv.DictReader(file)}
