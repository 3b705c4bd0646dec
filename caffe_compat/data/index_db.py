"""A database that is only an order: records of an LMDB, some or all, with labels of its own.

The file is text. Its first line names the LMDB, relative to the file's folder; each further line is a record's key
there, a blank, and the label. An empty line is a number without record, such as convert_imageset leaves where it cannot
read a picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from caffe_compat.atomic import writing
from caffe_compat.data.datum import Record, Relabelled, serialize
from caffe_compat.data.db import Database, create_db
from caffe_compat.data.lmdb_db import Lmdb
from caffe_compat.data.picture import Buffer
from caffe_compat.errors import CaffeError
from caffe_compat.progress import Progress
from caffe_compat.proto import caffe_pb2

MAGIC = b"index of "
CHUNK = 64  # records looked up at a time


class IndexDb(Database):
    """Reads the LMDB by key. Keys are those there."""

    backend = "index"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        try:
            with Path(path).open("rb") as file:
                self._text = file.read(len(MAGIC))
                if self._text != MAGIC:
                    raise CaffeError(f"{path}: not a database: neither a folder nor an index of one")
                self._text += file.read()
        except OSError as error:
            raise CaffeError(f"{path}: cannot read the index: {error.strerror}") from None
        ends = np.flatnonzero(np.frombuffer(self._text, np.uint8) == ord("\n"))
        if not self._text.endswith(b"\n"):
            raise CaffeError(f"{path}: a truncated index: its last line has no end")
        self.base = Path(path).parent / os.fsdecode(self._text[len(MAGIC) : ends[0]])
        starts, ends = ends[:-1] + 1, ends[1:]
        self._numbers = np.flatnonzero(ends > starts)
        self._starts, self._ends = starts[self._numbers], ends[self._numbers]
        if not (self.base / "data.mdb").is_file():
            raise CaffeError(f"{path}: no LMDB {self.base}, whose records this index names")
        self._lmdb = Lmdb(str(self.base))

    def __len__(self) -> int:
        return len(self._numbers)

    def records(self, skip: int = 0) -> Iterator[tuple[Buffer, Record]]:
        for start in range(skip, len(self), CHUNK):
            lines = [self._line(place) for place in range(start, min(start + CHUNK, len(self)))]
            found = self._lmdb.get_many([key for key, _ in lines])
            for key, label in lines:
                record = found.get(key)
                if record is None:
                    raise self.error(key, f"not in {self.base}: this index belongs to another database")
                yield key, Relabelled(record, label)

    def entries(self) -> Iterator[tuple[int, bytes, int]]:
        """Number, key in the LMDB and label of each record, in order; the records are not read."""
        for place, number in enumerate(self._numbers.tolist()):
            yield number, *self._line(place)

    def close(self) -> None:
        self._lmdb.close()

    def _line(self, place: int) -> tuple[bytes, int]:
        """Key and label."""
        key, _, label = self._text[self._starts[place] : self._ends[place]].rpartition(b" ")
        try:
            return key, int(label)
        except ValueError:
            number = int(self._numbers[place]) + 2
            raise CaffeError(f"{self.path}:{number}: expected a key, a blank and a label") from None


def write_index(path: str | Path, base: str | Path, lines: Iterable[tuple[bytes, int] | None]) -> None:
    """Write an index over the LMDB ``base``: each line a key there and a label, or None for a number without record."""
    with writing(path) as temporary, temporary.open("wb") as file:
        file.write(MAGIC + os.fsencode(os.path.relpath(base, Path(path).parent)) + b"\n")
        file.writelines(b"\n" if line is None else b"%s %d\n" % line for line in lines)


def materialise(
    index: str | Path, target: str | Path, progress: Progress | None = None, limit: int | None = None
) -> int:
    """Write an index's records as a real LMDB ``target``, byte for byte what convert_imageset would have written.

    ``limit``: the first so many only. Returns their number. CaffeError if ``target`` exists, and no database if
    anything goes wrong.
    """
    with IndexDb(os.fspath(index)) as db, create_db(target, "lmdb") as writer:
        total = len(db) if limit is None else min(len(db), limit)
        for count, (number, key, record) in enumerate(_first(db, total), 1):
            assert isinstance(record, Relabelled)
            datum = caffe_pb2.Datum.FromString(bytes(record.record))
            datum.label = record.label
            writer.put(_key(number, bytes(key)), serialize(datum))
            if progress:
                progress(count, total)
        return total


def _first(db: IndexDb, count: int) -> Iterator[tuple[int, Buffer, Record]]:
    """Number, key and record of the first ``count``."""
    for (number, _, _), (key, record) in islice(zip(db.entries(), db.records()), count):
        yield number, key, record


def _key(number: int, key: bytes) -> bytes:
    """The key of the record as that number: convert_imageset's eight digits and ``_`` before the name."""
    name = key[9:] if key[8:9] == b"_" and key[:8].isdigit() else key
    return b"%08d_%s" % (number, name)
