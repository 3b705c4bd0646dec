"""A run directory: everything that tells later what was trained, with what, how, and how it ended.

net.prototxt, solver.prototxt   the definitions as they were used: upgraded, with paths as they were opened
train.log                       Caffe's log lines
NAME_iter_N.caffemodel, .solverstate, .exact
run.json                        versions, hashes, command lines, device, seed, status
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from caffe_compat.atomic import write_text
from caffe_compat.errors import CaffeError
from yosinski.lock import try_lock
from yosinski.provenance import git_commit, now, versions

LOCK_S = 1  # wait so long for a lock, since looking whether a run is busy takes it for a moment
# What a training that was killed has left half-written.
UNFINISHED = (
    *(f".*_iter_*.{kind}*.tmp" for kind in ("caffemodel", "solverstate", "exact")),
    "*_iter_*.new.caffemodel*",
    ".run.json.*.tmp",
    ".*.prototxt.*.tmp",
)
# In HDF5 the extension is followed by .h5; in 2014 weights had none.
SNAPSHOT = re.compile(r"_iter_(?P<iteration>\d+)(\.(?P<kind>caffemodel|solverstate|exact)(\.h5)?)?$")


class RunDir:
    """One training run on disk.

    ``status`` in run.json is running, finished, interrupted or failed; a run that was killed stays "running", and
    the lock on its log tells it from one that still is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.net = path / "net.prototxt"
        self.solver = path / "solver.prototxt"
        self.log = path / "train.log"
        self.meta_path = path / "run.json"
        self._lock: TextIO | None = None

    @property
    def meta(self) -> dict[str, Any]:
        """What run.json says; empty where there is none."""
        try:
            text = self.meta_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        try:
            meta: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise CaffeError(f"{self.meta_path}: not a run's metadata: {error}") from None
        return meta

    @property
    def finished(self) -> bool:
        return self.meta.get("status") == "finished"

    @property
    def iteration(self) -> int:
        """That of the newest snapshot."""
        return max(map(snapshot_iteration, self.snapshots("solverstate")), default=0)

    @property
    def busy(self) -> bool:
        """Whether a process is training here."""
        try:
            with self.log.open("rb") as log:
                return not try_lock(log, shared=True)
        except FileNotFoundError:
            return False

    def open(self, *, resume: bool, force: bool, max_iter: int = 0) -> None:
        """Make or take over the directory, and lock it for this process.

        A finished run may be resumed only to go on to a larger ``max_iter``.

        Raises CaffeError where that would overwrite a run, or where another process is at work in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = self.log.open("a", encoding="utf-8")
        try:
            self._take_over(resume, force, max_iter)
        except BaseException:
            self.close()
            raise

    def _take_over(self, resume: bool, force: bool, max_iter: int) -> None:
        assert self._lock is not None
        deadline = time.monotonic() + LOCK_S
        while not try_lock(self._lock):
            if time.monotonic() > deadline:
                raise CaffeError(f"{self.path}: another process is training here")
            time.sleep(LOCK_S / 20)
        if self.finished and not force and not (resume and max_iter > self.iteration):
            raise CaffeError(f"{self.path}: this run has finished; --force starts it over, --out names another place")
        states = self.snapshots("solverstate")
        if states and not (resume or force):
            at = f"{self.path}: an unfinished run, at iteration {self.iteration}"
            raise CaffeError(f"{at}; --resume goes on, --force starts over")
        for pattern in UNFINISHED:
            for left in self.path.glob(pattern):
                left.unlink()
        if not resume:
            self._lock.truncate(0)
            for old in states + self.snapshots("caffemodel") + self.snapshots("exact"):
                old.unlink()
        elif self.log.stat().st_size and not self.log.read_bytes().endswith(b"\n"):
            self._lock.write("\n")  # a killed process may have left half a line
            self._lock.flush()

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def snapshots(self, suffix: str) -> list[Path]:
        """Files NAME_iter_N of the kind ``caffemodel`` or ``solverstate`` by rising iteration."""
        found = [path for path in self.path.glob("*_iter_*") if snapshot_kind(path) == suffix]
        return sorted(found, key=snapshot_iteration)

    def newest_weights(self) -> Path | None:
        """The newest weights, None if there are none yet."""
        return next(reversed(self.snapshots("caffemodel")), None)

    def newest_state(self, exact: bool = False) -> Path:
        """The newest .solverstate whose weights are there too. CaffeError if there is none.

        ``exact``: whose exact file is there, too, and all three belong together.
        """
        whole = {snapshot_iteration(path) for path in self.snapshots("caffemodel")}
        states = [state for state in reversed(self.snapshots("solverstate")) if snapshot_iteration(state) in whole]
        if not states:
            raise CaffeError(f"{self.path}: no snapshot to resume from; without --resume the run starts at iteration 0")
        if not exact:
            return states[0]
        from caffe_compat.solver import exact_state

        complaints = []
        for state in states:
            try:
                exact_state.read(state)
                return state
            except CaffeError as error:
                complaints.append(str(error))
        raise CaffeError(f"{complaints[0]}; --resume-as-caffe goes on without it")

    def prune(self, keep: int) -> None:
        """Remove all snapshots but the newest ``keep``; a state goes before what it needs."""
        old = {snapshot_iteration(path) for path in self.snapshots("solverstate")[:-keep]}
        for kind in ("solverstate", "exact", "caffemodel"):
            for path in self.snapshots(kind):
                if snapshot_iteration(path) in old:
                    path.unlink()

    def begin(self, **facts: Any) -> None:
        """Note the start of a session of training; ``facts`` (device, seed, files...) go into run.json."""
        meta = self.meta
        sessions = meta.get("sessions", []) if facts.get("resumed_from") else []
        session = {"command": shlex.join(["yosinski", *sys.argv[1:]]), "started": now(), "ended": None}
        session["resumed_from"] = facts.pop("resumed_from", None)
        self._write(
            {
                "name": self.name,
                "status": "running",
                "iteration": 0,
                **facts,
                "versions": versions(),
                "git_commit": git_commit(),
                "sessions": [*sessions, session],
            }
        )

    def end(self, status: str, iteration: int, **facts: Any) -> None:
        """Note how the session ended: finished, interrupted or failed."""
        meta = self.meta
        meta.update(status=status, iteration=iteration, **facts)
        meta["sessions"][-1]["ended"] = now()
        self._write(meta)

    def _write(self, meta: dict[str, Any]) -> None:
        write_text(self.meta_path, json.dumps(meta, indent=2) + "\n")


def snapshot_iteration(path: Path) -> int:
    """N of a snapshot NAME_iter_N.caffemodel, NAME_iter_N.solverstate, and so on; -1 for other names."""
    match = SNAPSHOT.search(path.name)
    return int(match["iteration"]) if match else -1


def snapshot_kind(path: Path) -> str:
    """Either caffemodel or solverstate; empty for other names."""
    match = SNAPSHOT.search(path.name)
    return (match["kind"] or "caffemodel") if match else ""
