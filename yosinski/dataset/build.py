"""Pictures to an LMDB that is built up in a folder beside its place, goes on after a kill, and appears whole.

The folder ``.NAME.part`` holds the database so far, what is being made (``job``), and the pictures with something wrong
(``bad``). A number without a record is a picture that was left out. Commits do not wait for the disk, which would hold
up the converting; so a crash of the machine, unlike a kill, may leave anything, and after one the work starts over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

from caffe_compat.atomic import write_text
from caffe_compat.cores import cores
from caffe_compat.data.convert import Conversion
from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.data.in_order import in_order
from caffe_compat.data.lmdb_db import LmdbAppender
from caffe_compat.data.picture import Buffer
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress
from yosinski.dataset.damage import defect
from yosinski.dataset.sources import Image

PIECE = 8  # pictures that a thread is given at a time
BATCH, COMMITS = 96, 8  # records that are committed at a time; commits that may wait for their turn
UNREADABLE = "unreadable"
OnError = Literal["skip", "fail"]
Converted = tuple[int, Buffer | None, str | None]  # number, record (None: left out), and what is wrong


@dataclass(frozen=True)
class Recipe:
    """How pictures become records.

    ``encode_type``: extension of the format to store, "" for raw pixels. ``on_error``: what becomes of a picture that
    cannot be read: it is left out, as by Caffe's tool, or nothing is made. ``strict``: truncated and CMYK pictures
    count as such, too; otherwise they are what OpenCV makes of them, as for Caffe.
    """

    size: tuple[int, int] = (256, 256)
    encode_type: str = ""
    on_error: OnError = "skip"
    strict: bool = False


AS_CAFFE = Recipe()


class Bad(NamedTuple):
    """A picture with something wrong: its number in the order of the database."""

    number: int
    reason: str
    skipped: bool


@dataclass(frozen=True)
class Built:
    """How many records there are, what was wrong with which picture, and how many pictures this run converted."""

    records: int
    bad: list[Bad]
    converted: int


def build_lmdb(
    images: Sequence[Image],
    target: Path,
    recipe: Recipe = AS_CAFFE,
    workers: int | None = None,
    progress: Progress | None = None,
    note: Callable[[Built], None] = lambda built: None,
) -> Built:
    """Write the pictures, in this order, to the LMDB ``target``; what an earlier run left unfinished is gone on with.

    Keys are convert_imageset's, number and name. Before it gets its name the database is read back and compared with
    ``images``, names and labels; then ``note`` is called.

    Raises:
        CaffeError: ``target`` exists, or unfinished work is of other pictures or another recipe; a bad picture, if the
            recipe says so; the disk does not take the records. What was written remains for the next run.
    """
    if target.exists():
        raise CaffeError(f"{target}: exists already; remove it or choose another folder")
    part = target.with_name(f".{target.name}.part")
    _claim(part, fingerprint(images, recipe))
    bad_file = part / "bad"
    with LmdbAppender(part / "db", called=str(target)) as db:
        last = db.last_key()
        start = 1 + int(last[:8]) if last else 0
        bad = [entry for entry in _read_bad(bad_file) if entry.number < start]
        _append(bad_file, bad, start_over=True)
        converter = _Converter(images, recipe)
        with ThreadPoolExecutor(workers or cores()) as pool, _Commits(db) as commits:
            pieces = in_order(pool, converter.convert_all, _pieces(range(start, len(images))))
            for number, record, reason in chain.from_iterable(pieces):
                if reason:
                    bad.append(Bad(number, reason, record is None))
                    _append(bad_file, bad[-1:])
                if record is not None:
                    commits.put(_key(number, images[number]), record)
                if progress:
                    progress(number + 1, len(images))
    records = verify(part / "db", images, {entry.number for entry in bad if entry.skipped})
    built = Built(records, bad, len(images) - start)
    note(built)
    (part / "db").rename(target)
    shutil.rmtree(part)
    return built


def verify(db: Path, images: Sequence[Image], skipped: set[int]) -> int:
    """Compare a database with the pictures it was made from, and return its number of records.

    CaffeError, with the first difference, if a record is missing, strange, or too many.
    """
    expected = ((number, image) for number, image in enumerate(images) if number not in skipped)
    found = 0
    with open_db(db) as opened:
        for key, record in opened.records():
            number, image = next(expected, (0, None))
            label = parse(record).label
            if image is None or bytes(key) != _key(number, image) or label != image.label:
                what = f"expected {image.name} {image.label}" if image else "expected no more"
                raise opened.error(key, f"its label is {label}; {what}")
            found += 1
        missing = next(expected, None)
        if missing is not None:
            raise CaffeError(f"{db}: no record of {missing[1].name!r}")
    if not found:
        raise CaffeError(f"{db}: none of the {len(images)} pictures could be read")
    return found


def fingerprint(images: Sequence[Image], recipe: Recipe) -> str:
    """Tells what is being made: names, labels and order of the pictures, and the recipe."""
    digest = hashlib.sha256(repr(sorted(asdict(recipe).items())).encode())
    for image in images:
        digest.update(b"%s %d\n" % (os.fsencode(image.name), image.label))
    return digest.hexdigest()


class _Commits:
    """Records on their way to the disk, which is kept at work while more are made. All are there in the end."""

    def __init__(self, db: LmdbAppender) -> None:
        self._db = db
        self._batch: list[tuple[bytes, Buffer]] = []
        self._writer, self._disk = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()
        self._syncing = self._disk.submit(db.sync)

    def put(self, key: bytes, record: Buffer) -> None:
        """Take a record; waits if the disk is far behind. CaffeError if it does not take the records."""
        self._batch.append((key, record))
        if len(self._batch) == BATCH:
            self._commit()
            if len(self._waiting) > COMMITS:
                self._waiting.popleft().result()
            if self._syncing.done():
                self._syncing.result()
                self._syncing = self._disk.submit(self._db.sync)

    def _commit(self) -> None:
        self._waiting.append(self._writer.submit(self._db.commit, self._batch))
        self._batch = []

    def __enter__(self) -> _Commits:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._writer, self._disk:
            if kind is None:
                self._commit()
                for future in (*self._waiting, self._syncing):
                    future.result()
                self._db.sync()


def _pieces(numbers: range) -> Iterator[range]:
    return (numbers[i : i + PIECE] for i in range(0, len(numbers), PIECE))


class _Converter:
    def __init__(self, images: Sequence[Image], recipe: Recipe) -> None:
        self.images, self.recipe = images, recipe
        self.conversion = Conversion(resize=recipe.size, encode_type=recipe.encode_type)

    def convert_all(self, numbers: range) -> list[Converted]:
        return [self.convert(number) for number in numbers]

    def convert(self, number: int) -> Converted:
        """CaffeError for what is wrong if that is to be fatal."""
        image = self.images[number]
        try:
            content = image.read()
        except OSError as error:
            return self._bad(image, number, f"{UNREADABLE}: {error.strerror}", None)
        record = self.conversion.record_of(content, image.name, image.label)
        if record is None:
            return self._bad(image, number, UNREADABLE, None)
        reason = defect(content)
        if reason is None:
            return number, record, None
        return self._bad(image, number, reason, None if self.recipe.strict else record)

    def _bad(self, image: Image, number: int, reason: str, record: Buffer | None) -> Converted:
        if record is None and self.recipe.on_error == "fail":
            raise CaffeError(f"{image.file}: picture {image.name!r}: {reason}")
        return number, record, reason


def _claim(part: Path, job: str) -> None:
    """Make the working folder, or take over the one of the same job, begun since this machine started."""
    try:
        found, _, boot = (part / "job").read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        found, boot = job, "none"
    if found != job:
        raise CaffeError(f"{part}: unfinished work on other pictures or with other options; remove it to start over")
    if boot != _boot():
        shutil.rmtree(part, ignore_errors=True)
        write_text(part / "job", f"{job}\n{_boot()}")


def _boot() -> str:
    """Tells one start of the machine from another, where the system can."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else ""


def _key(number: int, image: Image) -> bytes:
    return b"%08d_%s" % (number, os.fsencode(image.name))


def _append(path: Path, entries: Sequence[Bad], start_over: bool = False) -> None:
    with path.open("w" if start_over else "a", encoding="utf-8") as file:
        file.writelines(f"{entry.number} {int(entry.skipped)} {entry.reason}\n" for entry in entries)


def _read_bad(path: Path) -> Iterator[Bad]:
    """Whole lines only; what a kill cut off is found again."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                number, skipped, reason = line[:-1].split(" ", 2)
                yield Bad(int(number), reason, skipped == "1")
