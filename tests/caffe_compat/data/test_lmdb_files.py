"""One LMDB for many readers in a process: by any path, from any thread, and anew in a forked child."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from caffe_compat.data import lmdb_files
from caffe_compat.data.db import create_db, open_db
from caffe_compat.data.lmdb_db import Lmdb, LmdbAppender
from caffe_compat.errors import CaffeError

PAIRS = [(b"%03d" % i, b"record %d" % i) for i in range(100)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with create_db(tmp_path / "db", "lmdb") as db:
        for key, record in PAIRS:
            db.put(key, record)
    return tmp_path / "db"


def is_open(path: Path) -> bool:
    file = (path / "data.mdb").stat()
    return (file.st_dev, file.st_ino) in lmdb_files._files


def read(db: Lmdb) -> list[tuple[bytes, bytes]]:
    return [(bytes(key), bytes(record)) for key, record in db.records()]


def test_all_paths_lead_to_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, a relative path, and the same relative path where it means another database."""
    link, other = path.with_name("link"), path.with_name("other") / "db"
    link.symlink_to(path)
    other.parent.mkdir()
    with create_db(other, "lmdb") as db:
        db.put(b"key", b"another")
    monkeypatch.chdir(path.parent)
    with Lmdb("db") as first, Lmdb(str(path)) as second, Lmdb(str(link)) as third:
        monkeypatch.chdir(other.parent)
        with Lmdb("db") as fourth:
            assert read(fourth) == [(b"key", b"another")]
            assert is_open(path) and is_open(other)
        assert not is_open(other)
        assert read(first) == read(second) == read(third) == PAIRS
        second.close()
        second.close()  # which is nobody else's business
        assert read(first) == read(third) == PAIRS
    assert not is_open(path)


def test_threads_open_and_close_as_they_like(path: Path) -> None:
    wrong: list[BaseException | list] = []

    def work() -> None:
        try:
            for _ in range(100):
                with Lmdb(str(path)) as db:
                    if (found := read(db)) != PAIRS:
                        wrong.append(found)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not is_open(path)


def test_one_that_was_forgotten_is_closed(path: Path) -> None:
    db = Lmdb(str(path))
    assert is_open(path) and len(db) == 100
    del db
    assert not is_open(path)


def test_a_forked_child_opens_it_anew(path: Path) -> None:
    with Lmdb(str(path)) as db:
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            said = "nothing"
            try:
                db.get_many([b"001"])
            except CaffeError as error:
                said = str(error)
            with Lmdb(str(path)) as own:
                right = read(own) == PAIRS
            with Lmdb(str(path)) as own:
                right = right and read(own) == PAIRS
            os.write(into, f"{said}; {right}".encode())
            os._exit(0)
        os.waitpid(child, 0)
        said = os.read(out, 1000).decode()
        os.close(out), os.close(into)
        assert said == f"{path}: this process was forked off after it was opened, and has to open it anew; True"
        assert read(db) == PAIRS


def test_a_reader_and_a_writer_of_one_file_are_told(path: Path) -> None:
    open_already = "this process has it open already; close it there first"
    with LmdbAppender(path), pytest.raises(CaffeError, match=f"^{path}: not a readable LMDB: {open_already}$"):
        open_db(path)
    with open_db(path) as db:
        with pytest.raises(CaffeError, match=f"^{path}: cannot write: {open_already}$"):
            LmdbAppender(path)
        assert len(db) == 100
