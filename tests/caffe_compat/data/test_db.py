"""LMDB and LevelDB: told apart, read in order, written whole or not at all, and one clear line for what is broken."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from caffe_compat.data.db import create_db, open_db
from caffe_compat.errors import CaffeError

BACKENDS = ["lmdb", "leveldb"]


def fill(path: Path, backend: str, count: int, size: int = 10) -> list[tuple[bytes, bytes]]:
    pairs = [(b"%08d" % i, bytes([i % 251]) * size) for i in range(count)]
    with create_db(path, backend) as db:
        for key, record in reversed(pairs):
            db.put(key, record)
    return pairs


def read(path: Path, skip: int = 0) -> list[tuple[bytes, bytes]]:
    with open_db(path) as db:
        return [(bytes(key), bytes(record)) for key, record in db.records(skip)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_round_trip_in_key_order(tmp_path: Path, backend: str) -> None:
    pairs = fill(tmp_path / "db", backend, 2500)
    assert read(tmp_path / "db") == pairs
    assert read(tmp_path / "db", skip=2498) == pairs[2498:]
    with open_db(tmp_path / "db") as db:
        assert (db.backend, len(db)) == (backend, 2500)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["db"]


def test_lmdb_map_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caffe_compat.data.lmdb_db.FIRST_MAP", 1 << 16)
    pairs = fill(tmp_path / "db", "lmdb", 1100, size=5000)
    assert read(tmp_path / "db") == pairs


@pytest.mark.parametrize("backend", BACKENDS)
def test_existing_database_is_not_overwritten(tmp_path: Path, backend: str) -> None:
    pairs = fill(tmp_path / "db", backend, 3)
    with pytest.raises(CaffeError, match="db: exists already"):
        create_db(tmp_path / "db", backend)
    assert read(tmp_path / "db") == pairs


@pytest.mark.parametrize("backend", BACKENDS)
def test_interrupted_writer_leaves_nothing(tmp_path: Path, backend: str) -> None:
    with pytest.raises(KeyboardInterrupt), create_db(tmp_path / "db", backend) as db:
        for i in range(1500):
            db.put(b"%d" % i, b"x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("backend", "reason"),
    [("lmdb", "Input/output error; is the disk full[?]"), ("leveldb", "IO error: .*/db/.*[.]log: File too large")],
)
def test_full_disk_leaves_nothing(tmp_path: Path, backend: str, reason: str) -> None:
    import resource

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, old[1]))
    try:
        with pytest.raises(CaffeError, match=f"^{tmp_path}/db: cannot write: {reason}$"):
            fill(tmp_path / "db", backend, 1000, size=5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert list(tmp_path.iterdir()) == []


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="none/db: cannot make the database: No such file or directory"):
        create_db(tmp_path / "none" / "db", "lmdb")
    with pytest.raises(CaffeError, match="backend 'lmbd': expected lmdb or leveldb"):
        create_db(tmp_path / "db", "lmbd")


def test_two_readers_of_a_leveldb_at_once_and_original_untouched(golden: Path) -> None:
    path = golden / "data" / "leveldb_32"
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with open_db(path) as first, open_db(path) as second:
        assert len(list(first.records())) == len(second) == 24
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


@pytest.mark.parametrize("name", ["lmdb_32", "leveldb_32"])
def test_read_only_folder(golden: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / name
    shutil.copytree(golden / "data" / name, copy)
    for path in (*copy.iterdir(), copy):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert len(read(copy)) == 24
    finally:
        copy.chmod(0o755)


def test_leveldb_journal_is_read(tmp_path: Path) -> None:
    """A database that was closed while its records were in the journal only, as Caffe's tools leave it."""
    import plyvel

    db = plyvel.DB(str(tmp_path / "db"), create_if_missing=True)
    db.put(b"key", b"record")
    db.close()
    assert not list((tmp_path / "db").glob("*.ldb"))
    assert read(tmp_path / "db") == [(b"key", b"record")]


def test_leveldb_is_left_as_tables(tmp_path: Path) -> None:
    """So that no reader has to work through a journal first."""
    fill(tmp_path / "db", "leveldb", 5)
    assert list((tmp_path / "db").glob("*.ldb"))
    assert sum(file.stat().st_size for file in (tmp_path / "db").glob("*.log")) == 0


def broken(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "db"
    if kind == "missing":
        return path
    if kind in ("a file", "no database"):
        if kind == "a file":
            path.write_text("x")
        else:
            path.mkdir()
        return path
    fill(path, "leveldb" if kind.endswith("leveldb") else "lmdb", 100, size=5000)
    file = next(path.glob("MANIFEST*" if kind.endswith("leveldb") else "data.mdb"))
    content = file.read_bytes()
    if kind.startswith("empty"):
        file.write_bytes(b"")
    elif kind.startswith("truncated"):
        file.write_bytes(content[: len(content) // 2])
    else:
        file.write_bytes(bytes(reversed(content)))
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "no such database"),
        ("a file", "not a database"),
        ("no database", "not a database: holds neither data.mdb .LMDB. nor CURRENT .LevelDB."),
        ("empty lmdb", "data.mdb is an empty file"),
        ("truncated lmdb", "data.mdb is truncated: [0-9]+ bytes of [0-9]+"),
        ("garbage lmdb", "not a readable LMDB"),
        ("empty leveldb", "not a readable LevelDB"),
        ("garbage leveldb", "not a readable LevelDB"),
    ],
)
def test_unreadable(tmp_path: Path, kind: str, reason: str) -> None:
    path = broken(tmp_path, kind)
    with pytest.raises(CaffeError, match=reason) as caught:
        open_db(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_damaged_leveldb_table(golden: Path, tmp_path: Path) -> None:
    shutil.copytree(golden / "data" / "leveldb_32", tmp_path / "db")
    table = next((tmp_path / "db").glob("*.ldb"))
    content = bytearray(table.read_bytes())
    content[1000] ^= 255
    table.write_bytes(content)
    with pytest.raises(CaffeError, match="db: damaged LevelDB: Corruption: "):
        read(tmp_path / "db")


def test_plyvel_missing(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(CaffeError, match="pip install plyvel"):
        open_db(golden / "data" / "leveldb_32")


def test_leveldb_leaves_no_temporary_folder(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    open_db(golden / "data" / "leveldb_32").close()
    assert list(tmp_path.iterdir()) == []
