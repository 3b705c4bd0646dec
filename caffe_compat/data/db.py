"""Databases of key and record: found by looking, read in key order, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TypeVar

from caffe_compat.atomic import sync
from caffe_compat.data.datum import Record
from caffe_compat.data.picture import Buffer
from caffe_compat.errors import CaffeError

AnyDatabase = TypeVar("AnyDatabase", bound="Database")
BATCH = 1000  # records that Caffe's tools commit at a time


class Database(ABC):
    """A database open for reading; other processes may have it open too."""

    backend: ClassVar[str]

    def __init__(self, path: str) -> None:
        self.path = path

    @abstractmethod
    def __len__(self) -> int:
        """Number of records."""

    @abstractmethod
    def records(self, skip: int = 0) -> Iterator[tuple[Buffer, Record]]:
        """Keys and records in key order, without the first ``skip``. They may be views that ``close`` invalidates."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the files. No iterator and no record may be used afterwards."""

    def error(self, key: Buffer, reason: object) -> CaffeError:
        """What is wrong with the record of that key, in one line."""
        return CaffeError(f"{self.path}: record {bytes(key).decode(errors='backslashreplace')!r}: {reason}")

    def __enter__(self: AnyDatabase) -> AnyDatabase:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Writer(ABC):
    """A database being written, in a folder beside its final place, where ``close`` moves it.

    As a context manager: leaving normally closes, leaving by an exception removes what was written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        final = Path(path)
        if final.exists() or final.is_symlink():
            raise CaffeError(f"{path}: exists already; remove it or choose another name")
        self.folder = final.with_name(f".{final.name}.{os.getpid()}.tmp")
        self._pending: list[tuple[bytes, Buffer]] = []
        try:
            self.folder.mkdir()
        except OSError as error:
            raise CaffeError(f"{path}: cannot make the database: {error.strerror}") from None
        try:
            self._open()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def put(self, key: bytes, record: Buffer) -> None:
        """Add a record, or replace the one with the same key."""
        self._pending.append((key, record))
        if len(self._pending) >= BATCH:
            self._flush()

    def close(self) -> None:
        """Write what is left and give the database its name."""
        self._flush()
        self._close()
        for path in (*self.folder.iterdir(), self.folder):
            sync(path)
        try:
            self.folder.rename(self.path)
        except OSError as error:
            raise CaffeError(f"{self.path}: cannot move the database there: {error.strerror}") from None
        sync(self.folder.parent)

    def abort(self) -> None:
        """Remove what was written."""
        self._close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _flush(self) -> None:
        if self._pending:
            self._commit(self._pending)
            self._pending = []

    @abstractmethod
    def _open(self) -> None:
        """Create the files in ``self.folder``."""

    @abstractmethod
    def _commit(self, records: list[tuple[bytes, Buffer]]) -> None:
        """Store the records together; CaffeError if the disk does not take them."""

    @abstractmethod
    def _close(self) -> None:
        """Close the files; harmless when closed."""

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.abort()  # removes nothing if the folder has its final name


def open_db(path: str | Path) -> Database:
    """Open an LMDB, a LevelDB or an index for reading, told apart by looking; Caffe goes by the prototxt's ``backend``.

    CaffeError if nothing is there, or no database, or a truncated one.
    """
    path = os.fspath(path)
    if (Path(path) / "data.mdb").is_file():
        from caffe_compat.data.lmdb_db import Lmdb

        return Lmdb(path)
    if (Path(path) / "CURRENT").is_file():
        from caffe_compat.data.leveldb_db import LevelDb

        return LevelDb(path)
    if not Path(path).exists():
        raise CaffeError(f"{path}: no such database")
    if Path(path).is_file():
        from caffe_compat.data.index_db import IndexDb

        return IndexDb(path)
    raise CaffeError(f"{path}: not a database: holds neither data.mdb (LMDB) nor CURRENT (LevelDB)")


def create_db(path: str | Path, backend: str) -> Writer:
    """Start a new database; ``backend``: ``lmdb`` or ``leveldb``. CaffeError if ``path`` exists."""
    path = os.fspath(path)
    if backend == "lmdb":
        from caffe_compat.data.lmdb_db import LmdbWriter

        return LmdbWriter(path)
    if backend == "leveldb":
        from caffe_compat.data.leveldb_db import LevelDbWriter

        return LevelDbWriter(path)
    raise CaffeError(f"backend {backend!r}: expected lmdb or leveldb")
