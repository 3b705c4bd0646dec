"""The study's datasets out of one prepared folder: halves and reduced sets as lists, indices, and databases.

A dataset's name is the original one: half0A, halfnatmanB, reduced0100. Its files are ``NAME_train.txt``,
``NAME_train.index`` and so on; reduced sets have no validation part of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from caffe_compat.data.convert import Entry
from caffe_compat.data.index_db import materialise, write_index
from caffe_compat.data.lmdb_db import Lmdb
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress
from yosinski.dataset.prepare import read_summary
from yosinski.lists import first_of_each_class, of_classes, published_name, read_images, write_list
from yosinski.net_names import HALVES, PER_CLASS, SPLITS
from yosinski.splits import Order, database_order, split_classes

DATASET = re.compile(r"half(?P<split>\d{1,9}|natman)(?P<half>[AB])|reduced(?P<count>\d{4})")
# Those that the study trained on, but for the whole.
STUDY = tuple(f"half{split}{half}" for split in SPLITS for half in HALVES) + tuple(
    f"reduced{count:04d}" for count in PER_CLASS[:-1]
)


def subset(entries: list[Entry], dataset: str, num_classes: int) -> list[Entry]:
    """A dataset's part of a list, in the list's order; halves number their classes anew, reduced sets do not.

    CaffeError for a name that is none of a dataset.
    """
    match = DATASET.fullmatch(dataset)
    if match is None or match["count"] == "0000":
        raise CaffeError(f"{dataset!r} is no dataset of the study: expected such as half0A, halfnatmanB or reduced0100")
    if match["count"]:
        return first_of_each_class(entries, int(match["count"]))
    return of_classes(entries, split_classes(match["split"], num_classes)["AB".index(match["half"])])


def parts_of(dataset: str) -> tuple[str, ...]:
    """The parts that a dataset has."""
    return ("train",) if dataset.startswith("reduced") else ("train", "valid")


def write_subset(
    folder: Path, dataset: str, part: str, entries: list[Entry], keys: dict[str, bytes], order: Order, seed: int
) -> str | None:
    """Write a dataset's list and index of one part to a prepared folder; which published list it is, None: none.

    Args:
        entries: the whole's list of that part.
        keys: of the whole's records of that part, by name (see ``record_keys``).
        order, seed: of the database that the index stands for (see ``database_order``).
    """
    num_classes = 1 + max(entry.label for entry in entries)
    return write_chosen(folder, dataset, part, subset(entries, dataset, num_classes), keys, order, seed)


def write_chosen(
    folder: Path, dataset: str, part: str, chosen: list[Entry], keys: dict[str, bytes], order: Order, seed: int
) -> str | None:
    """Write any entries of the whole's list as a dataset, otherwise as ``write_subset``."""
    write_list(folder / f"{dataset}_{part}.txt", chosen)
    lines: list[tuple[bytes, int] | None] = []
    for line in database_order(len(chosen), order, seed):
        key = keys.get(chosen[line].name)
        lines.append((key, chosen[line].label) if key is not None else None)
    write_index(folder / f"{dataset}_{part}.index", folder / f"{part}_lmdb", lines)
    return published_name(chosen)[1]


def record_keys(folder: Path, part: str, entries: Iterable[Entry]) -> dict[str, bytes]:
    """Keys of the whole's database by picture name. CaffeError if it lacks others than those left out in preparing."""
    with Lmdb(str(_database(folder, part))) as db:
        keys = {os.fsdecode(key[9:]): key for key in db.all_keys()}
    skipped: Collection[str] = set(read_summary(folder).get(part, {}).get("skipped", []))
    for name, _ in entries:
        if name not in keys and name not in skipped:
            raise CaffeError(f"{folder / f'{part}_lmdb'}: no record of {name!r}, which {part}.txt has")
    return keys


def read_whole(folder: Path, part: str) -> list[Entry]:
    """The list of the whole in a prepared folder."""
    return read_images(folder / f"{part}.txt")


def materialise_subset(folder: Path, dataset: str, part: str, progress: Progress | None = None) -> Path:
    """Write a dataset's real LMDB beside its index, for other programs; one that is there is left alone."""
    target = folder / f"{dataset}_{part}_lmdb"
    if not target.exists():
        materialise(folder / f"{dataset}_{part}.index", target, progress)
    return target


def _database(folder: Path, part: str) -> Path:
    database = folder / f"{part}_lmdb"
    if not (database / "data.mdb").is_file():
        raise CaffeError(f"{folder}: no {part}_lmdb here; `yosinski data prepare --out {folder}` makes it")
    return database
