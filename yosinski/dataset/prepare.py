"""ImageNet, or any labelled pictures, to lists and databases of the whole.

In the folder afterwards: ``train.txt`` and ``valid.txt``, lines ``name label``; ``synsets.txt``, the classes by number;
``train_lmdb`` and ``valid_lmdb``; ``train.bad.txt``, what was wrong with which picture; ``prepare.json``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from caffe_compat.atomic import write_text, writing
from caffe_compat.data.convert import Entry
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress
from yosinski.dataset.build import AS_CAFFE, Bad, Built, Recipe, build_lmdb, fingerprint
from yosinski.dataset.labels import read_labels
from yosinski.dataset.sources import Found, Image, find_images
from yosinski.lists import list_text, published_name
from yosinski.lock import try_lock
from yosinski.splits import Order, database_order

Part = Literal["train", "valid"]
SUMMARY = "prepare.json"


@dataclass(frozen=True)
class Origin:
    """Where the pictures of the parts are, and the labels of flat validation images; ``root`` is that of lists."""

    train: Path | None = None
    valid: Path | None = None
    valid_labels: Path | None = None
    root: Path | None = None


@dataclass(frozen=True)
class Prepared:
    """One part as it is in the folder.

    ``per_class``: fewest and most records of a class. ``published``: which of the study's lists the list is.
    ``skipped``: names of the pictures without record. ``converted``: how many pictures this run worked on.
    """

    images: int
    records: int
    classes: int
    per_class: tuple[int, int]
    md5: str
    published: str | None
    skipped: list[str]
    fingerprint: str
    converted: int = field(default=0, compare=False)


def prepare(
    folder: Path,
    origin: Origin,
    recipe: Recipe = AS_CAFFE,
    order: Order = "2014",
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[Part], Progress | None] = lambda part: None,
) -> dict[Part, Prepared]:
    """Make lists and databases of the parts that ``origin`` has; finished ones are left alone.

    ``order`` is that of the databases, with ``seed`` where it takes one. CaffeError if the folder has other lists or
    another database, if another process is at work there, or as ``find_images`` and ``build_lmdb`` say.
    """
    with _locked(folder):
        found = _find(folder, origin)
        if not found:
            raise CaffeError("neither training nor validation images given")
        for part, source in found.items():
            _write_once(folder / f"{part}.txt", list_text(Entry(i.name, i.label) for i in source.images))
            if source.classes is not None:
                _write_once(folder / "synsets.txt", "".join(f"{name}\n" for name in source.classes).encode())
        return {
            part: _build(folder, part, source.images, recipe, order, seed, workers, progress(part))
            for part, source in found.items()
        }


def read_summary(folder: Path) -> dict[str, dict[str, Any]]:
    """What ``prepare`` noted of the parts in a folder; empty if it was never there."""
    try:
        summary: dict[str, dict[str, Any]] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CaffeError(f"{folder / SUMMARY}: damaged: {error}") from None
    return summary


def _find(folder: Path, origin: Origin) -> dict[Part, Found]:
    """The pictures of the parts, all with the same classes."""
    found: dict[Part, Found] = {}
    synsets = folder / "synsets.txt"
    classes = synsets.read_text(encoding="utf-8").split("\n")[:-1] if synsets.is_file() else None
    if origin.train is not None:
        found["train"] = find_images(origin.train, root=origin.root)
        classes = found["train"].classes
    if origin.valid is not None:
        labels = read_labels(origin.valid_labels, classes) if origin.valid_labels else None
        found["valid"] = find_images(origin.valid, labels, classes, origin.root)
    present = {part: {image.label for image in source.images} for part, source in found.items()}
    number = len(classes) if classes else 1 + max((max(labels) for labels in present.values()), default=0)
    for part, there in present.items():
        missing = sorted(set(range(number)) - there)
        if missing:
            name = repr(classes[missing[0]]) if classes else str(missing[0])
            raise CaffeError(
                f"{getattr(origin, part)}: {len(missing)} of {number} classes have no images, such as {name}"
            )
    return found


def _build(
    folder: Path,
    part: Part,
    images: Sequence[Image],
    recipe: Recipe,
    order: Order,
    seed: int,
    workers: int | None,
    progress: Progress | None,
) -> Prepared:
    target = folder / f"{part}_lmdb"
    shuffled = [images[line] for line in database_order(len(images), order, seed)]
    job = fingerprint(shuffled, recipe)
    summary = read_summary(folder)
    if target.is_dir() and part in summary and summary[part]["fingerprint"] == job:
        known = summary[part]
        return Prepared(**{**known, "per_class": tuple(known["per_class"])})
    prepared: list[Prepared] = []

    def note(built: Built) -> None:
        prepared.append(_describe(images, shuffled, job, built))
        _write_bad(folder / f"{part}.bad.txt", shuffled, built.bad)
        noted = {key: value for key, value in asdict(prepared[0]).items() if key != "converted"}
        write_text(folder / SUMMARY, json.dumps({**summary, part: noted}, indent=2) + "\n")

    build_lmdb(shuffled, target, recipe, workers, progress, note)
    return prepared[0]


def _describe(images: Sequence[Image], shuffled: Sequence[Image], job: str, built: Built) -> Prepared:
    skipped = [shuffled[bad.number].name for bad in built.bad if bad.skipped]
    left_out = set(skipped)
    counts = Counter(image.label for image in images if image.name not in left_out)
    md5, published = published_name(Entry(image.name, image.label) for image in images)
    return Prepared(
        images=len(images),
        records=built.records,
        classes=len(counts),
        per_class=(min(counts.values()), max(counts.values())),
        md5=md5,
        published=published,
        skipped=skipped,
        fingerprint=job,
        converted=built.converted,
    )


def _write_bad(path: Path, images: Sequence[Image], bad: Sequence[Bad]) -> None:
    """Lines ``name: what is wrong, and whether it was left out``; no file where nothing is wrong."""
    lines = (f"{images[b.number].name}: {b.reason}, {'left out' if b.skipped else 'kept'}\n" for b in bad)
    if bad:
        with writing(path) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")


def _write_once(path: Path, content: bytes) -> None:
    """Write a file, or find it as it would be written."""
    if not path.exists():
        with writing(path) as temporary:
            temporary.write_bytes(content)
    elif path.read_bytes() != content:
        raise CaffeError(f"{path}: there already, of other images; remove it or choose another folder")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from preparing the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        if not try_lock(file):
            raise CaffeError(f"{folder}: another process is preparing data here")
        yield
