"""LMDB, the memory-mapped database: one unnamed table in ``data.mdb``."""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import lmdb

from caffe_compat.data import lmdb_files
from caffe_compat.data.db import Database, Writer
from caffe_compat.data.picture import Buffer
from caffe_compat.errors import CaffeError

FIRST_MAP = 1 << 28  # bytes; only address space, the file grows as it is written


class Lmdb(Database):
    """Reads through one transaction, so that records are views into the mapped file as long as it is open."""

    backend = "lmdb"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        file = (Path(path) / "data.mdb").stat()
        if file.st_size == 0:
            raise CaffeError(f"{path}: data.mdb is an empty file")
        try:
            self._file = lmdb_files.take(path, file)
            self._leave = weakref.finalize(self, lmdb_files.leave, self._file)
            self._leave.atexit = False  # threads may still be reading then
            env = self._file.environment
            self._begun, self._owner = env.begin(buffers=True), os.getpid()
        except lmdb.Error as error:
            raise CaffeError(f"{path}: not a readable LMDB: {_reason(error)}") from None
        # Reading a mapped page that the file does not have would kill the process.
        needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        if file.st_size < needed:
            self.close()
            raise CaffeError(f"{path}: data.mdb is truncated: {file.st_size} bytes of {needed}")
        self._length: int = env.stat()["entries"]

    def __len__(self) -> int:
        return self._length

    def records(self, skip: int = 0) -> Iterator[tuple[Buffer, Buffer]]:
        try:
            yield from islice(self._transaction.cursor(), skip, None)
        except lmdb.Error as error:
            raise CaffeError(f"{self.path}: damaged LMDB: {_reason(error)}") from None

    def get_many(self, keys: list[bytes]) -> dict[bytes, Buffer]:
        """The records of those keys that there are."""
        return {bytes(key): record for key, record in self._transaction.cursor().getmulti(keys)}

    def all_keys(self) -> Iterator[bytes]:
        """All keys in order, without reading the records."""
        yield from map(bytes, self._transaction.cursor().iternext(keys=True, values=False))

    def close(self) -> None:
        self._begun.abort()
        self._leave()

    @property
    def _transaction(self) -> lmdb.Transaction:
        if os.getpid() != self._owner:
            raise CaffeError(f"{self.path}: this process was forked off after it was opened, and has to open it anew")
        return self._begun


class LmdbWriter(Writer):
    """An LMDB in Caffe's files."""

    def _open(self) -> None:
        self._file = LmdbAppender(self.folder, called=self.path)

    def _commit(self, records: list[tuple[bytes, Buffer]]) -> None:
        self._file.commit(records)

    def _close(self) -> None:
        self._file.close()


class LmdbAppender:
    """An LMDB written in place, commit by commit; a kill leaves it as the last commit did.

    A crash of the machine may leave anything, until ``sync``. ``called``: the name in errors.
    """

    def __init__(self, folder: Path, called: str | None = None) -> None:
        self.called = called or str(folder)
        try:
            folder.mkdir(exist_ok=True)
            self._env = lmdb.open(str(folder), map_size=FIRST_MAP, lock=False, mode=0o666, sync=False)
        except (lmdb.Error, OSError) as error:
            raise CaffeError(f"{self.called}: cannot write: {_reason(error)}") from None

    def last_key(self) -> bytes | None:
        """The last key in order; None if there is no record."""
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            return bytes(cursor.key()) if cursor.last() else None

    def commit(self, records: list[tuple[bytes, Buffer]]) -> None:
        """Store the records together. The map is doubled whenever it is full, as Caffe does."""
        while True:
            try:
                with self._env.begin(write=True) as transaction:
                    for key, record in records:
                        transaction.put(key, record)
                return
            except lmdb.MapFullError:
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            except (lmdb.Error, OSError) as error:
                raise CaffeError(f"{self.called}: cannot write: {_reason(error)}") from None

    def sync(self) -> None:
        """Wait until all is on the disk."""
        try:
            self._env.sync(True)
        except (lmdb.Error, OSError) as error:
            raise CaffeError(f"{self.called}: cannot write: {_reason(error)}") from None

    def close(self) -> None:
        self._env.close()

    def __enter__(self) -> LmdbAppender:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _reason(error: Exception) -> str:
    """LMDB's own words, without the path that it puts in front."""
    words = str(error).rsplit(": ", 1)[-1]
    if "already open" in words:  # to write it, or by the package lmdb itself; our readers share theirs
        return "this process has it open already; close it there first"
    # What LMDB calls a write of which only a part went through.
    return f"{words}; is the disk full?" if words == os.strerror(errno.EIO) else words
