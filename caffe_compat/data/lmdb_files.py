"""LMDB files open for reading: each once in a process, however many read it and by whatever path.

So py-lmdb wants it: it refuses to open what is open. It goes on to refuse that in a forked child, and would wait there
for ever to close it if another thread was reading when the process forked. So the child reads on in the memory that it
has inherited, which is safe without LMDB's locks, and leaves it open.
"""

from __future__ import annotations

import os
import threading

import lmdb


class OpenFile:
    """A file of an LMDB and how many read it. ``inherited``: it was opened before this process was forked off."""

    def __init__(self, key: tuple[int, int], environment: lmdb.Environment) -> None:
        self.key, self.environment = key, environment
        self.users = 0
        self.inherited = False


_files: dict[tuple[int, int], OpenFile] = {}  # by device and inode
# Held while one is opened or closed, and while the process forks. The thread that has it may get it again, since
# garbage with a reader in it is collected anywhere.
_lock = threading.RLock()


def take(path: str, file: os.stat_result) -> OpenFile:
    """Open the LMDB ``path``, whose data.mdb ``file`` is, or join those who read it; ``leave`` has to be called.

    Without lock file, since nobody writes to a finished database and its folder may be read-only. Raises lmdb.Error.
    """
    key = file.st_dev, file.st_ino
    with _lock:
        found = _files.get(key)
        if found is None:
            environment = lmdb.open(path, readonly=True, lock=False, create=False)
            found = _files[key] = OpenFile(key, environment)
        found.users += 1
    return found


def leave(file: OpenFile) -> None:
    """Read it no more. The last one closes it."""
    with _lock:
        file.users -= 1
        if file.users == 0 and not file.inherited:
            del _files[file.key]
            file.environment.close()


def _forked() -> None:
    for file in _files.values():
        file.inherited = True
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forked)
