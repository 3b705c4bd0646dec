"""LevelDB, the database of the Caffe of early 2014, through plyvel."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from caffe_compat.data.db import Database, Writer
from caffe_compat.data.picture import Buffer
from caffe_compat.errors import CaffeError

# As Caffe opens it; 64 KiB is the size of a table block.
OPTIONS = {"block_size": 65536, "write_buffer_size": 268435456, "max_open_files": 100}


def _plyvel() -> Any:
    try:
        import plyvel
    except ImportError as error:
        raise CaffeError(
            f"LevelDB needs the Python package plyvel ({error}): pip install plyvel, which from Python 3.13 on builds "
            "it, with a C++ compiler and LevelDB's headers (Debian's libleveldb-dev)"
        ) from None
    return plyvel


class LevelDb(Database):
    """Opened through a folder of links to its files.

    LevelDB knows no reading only: it locks a database for one process, and rewrites its journal whenever it opens it.
    With links the original stays as it is, may lie in a read-only folder, and several nets can read it at a time.
    """

    backend = "leveldb"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        plyvel = _plyvel()
        self._links = links = tempfile.mkdtemp(prefix="leveldb-")
        self._remove = weakref.finalize(self, _remove, links, os.getpid())
        for file in Path(path).resolve().iterdir():
            if file.name == "CURRENT" or file.name.startswith("MANIFEST"):
                shutil.copyfile(file, Path(links, file.name))  # LevelDB appends to these
            elif file.name != "LOCK" and not file.name.startswith("LOG"):
                Path(links, file.name).symlink_to(file)
        try:
            self._db = plyvel.DB(links, create_if_missing=False, paranoid_checks=True, **OPTIONS)
        except (plyvel.Error, OSError) as error:
            self._remove()
            raise CaffeError(f"{path}: not a readable LevelDB: {_reason(error, links, path)}") from None
        self._length: int | None = None

    def __len__(self) -> int:
        if self._length is None:  # LevelDB keeps no count
            self._length = sum(1 for _ in self._db.iterator(include_value=False))
        return self._length

    def records(self, skip: int = 0) -> Iterator[tuple[Buffer, Buffer]]:
        plyvel = _plyvel()
        try:
            yield from islice(self._db.iterator(verify_checksums=True, fill_cache=False), skip, None)
        except plyvel.Error as error:
            raise CaffeError(f"{self.path}: damaged LevelDB: {_reason(error, self._links, self.path)}") from None

    def close(self) -> None:
        self._db.close()
        self._remove()


class LevelDbWriter(Writer):
    """Writes batches, synced when the database is closed."""

    def _open(self) -> None:
        self._db = self._opened(create_if_missing=True, error_if_exists=True)

    def close(self) -> None:
        """As ``Writer.close``. LevelDB moves its journal to a table when it is opened next, so do that once here."""
        self._flush()
        self._db.close()
        self._db = self._opened(create_if_missing=False)
        super().close()

    def _opened(self, **options: bool) -> Any:
        try:
            return _plyvel().DB(str(self.folder), **options, **OPTIONS)
        except (_plyvel().Error, OSError) as error:
            self._fail(error)

    def _commit(self, records: list[tuple[bytes, Buffer]]) -> None:
        try:
            with self._db.write_batch() as batch:
                for key, record in records:
                    batch.put(key, record)
        except (_plyvel().Error, OSError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        raise CaffeError(f"{self.path}: cannot write: {_reason(error, str(self.folder), self.path)}") from None

    def _close(self) -> None:
        self._db.close()


def _reason(error: Exception, folder: str, path: str) -> str:
    """LevelDB's own words, which come as bytes, about files of the database instead of a folder that nobody knows."""
    words = error.args[0] if error.args else ""
    return (words.decode(errors="replace") if isinstance(words, bytes) else str(error)).replace(folder, path)


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child must not remove its parent's folder
        shutil.rmtree(folder, ignore_errors=True)
