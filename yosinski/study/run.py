"""A study on this machine: Snakemake as a process of its own, looked at until it ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from caffe_compat.errors import CaffeError
from yosinski.lock import try_lock
from yosinski.study import slots
from yosinski.study.folder import Folder, Options
from yosinski.study.follow import VARIABLE, alive, mark
from yosinski.study.plan import Plan
from yosinski.study.status import NetStatus, read_status

LOOK_S = 1.0
LEFT_S = 10.0  # that a driver waits for the Snakemake of one that was killed a moment ago
RETRIES = 2

Show = Callable[[Sequence[NetStatus]], None]


@dataclass(frozen=True)
class Machine:
    """What of this machine a study may use.

    Attributes:
        devices: cpu, or GPUs as cuda:0.
        slots: nets in training at a time.
        per_gpu: of these, on one GPU.
        cores: for all tasks together.
    """

    devices: tuple[str, ...]
    slots: int
    per_gpu: int
    cores: int


def run_study(folder: Folder, plan: Plan, options: Options, machine: Machine, show: Show) -> None:
    """Lay a study out, or find it as it was left, and run what is not done yet. ``show`` is told how it goes.

    Raises:
        CaffeError: another driver is at work in the folder, another study is there, or some tasks failed.
        KeyboardInterrupt: as soon as all nets in training have written a snapshot.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise CaffeError("this needs Snakemake, which is not installed: pip install 'yosinski[study]'")
    with _locked(folder.path) as lock:
        folder.write(plan, options)
        study = folder.read()
        offset = folder.log.stat().st_size if folder.log.exists() else 0
        with folder.log.open("ab") as log, _snakemake(folder, machine, log.fileno()) as process:
            lock.write(mark(process.pid))
            lock.flush()
            while process.poll() is None:
                show(read_status(folder, study))
                time.sleep(LOOK_S)
        show(read_status(folder, study))
        if process.returncode:
            raise CaffeError(_reason(folder.log, offset))


def command(machine: Machine) -> list[str]:
    """The call of Snakemake, in the study's folder."""
    return [
        sys.executable, "-m", "snakemake", "--cores", str(machine.cores), "--resources", f"slot={machine.slots}",
        "--retries", str(RETRIES), "--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime",
        "--nolock", "--scheduler", "greedy", "--nocolor",
    ]  # fmt: skip


@contextmanager
def _snakemake(folder: Folder, machine: Machine, log: int) -> Iterator[subprocess.Popen[bytes]]:
    """Snakemake in a session of its own, so that Ctrl-C does not reach it; we pass it on to all its jobs, once."""
    environment = {**os.environ, VARIABLE: mark(os.getpid()), slots.DEVICES: " ".join(machine.devices)}
    environment[slots.PER_DEVICE] = str(machine.per_gpu)
    if machine.devices == ("cpu",):
        environment["OMP_NUM_THREADS"] = "1"
    with subprocess.Popen(
        command(machine), cwd=folder.path, env=environment, stdout=log, stderr=log, start_new_session=True
    ) as process:
        try:
            yield process
        except BaseException:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait()
            except KeyboardInterrupt:
                os.killpg(process.pid, signal.SIGKILL)
            raise


@contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    """Be the only driver in a folder. The lock's file names the Snakemake process, which may outlive its driver."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / ".lock").open("a+", encoding="utf-8") as file:
        if not try_lock(file):
            raise CaffeError(f"{path}: another `yosinski study run` is at work here")
        file.seek(0)
        left, deadline = file.read(), time.monotonic() + LEFT_S
        while left and alive(left) and time.monotonic() < deadline:
            time.sleep(0.1)
        file.truncate(0)
        yield file


def _reason(log: Path, offset: int) -> str:
    """Why Snakemake failed: the first line in which one of ours says so, since ``offset`` bytes."""
    with log.open("rb") as file:
        file.seek(offset)
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    ours = list(dict.fromkeys(line.removeprefix("yosinski: ") for line in lines if line.startswith("yosinski: ")))
    if not ours:
        return f"Snakemake failed; {log} says why"
    return f"{ours[0]}{f' (and {len(ours) - 1} more)' if len(ours) > 1 else ''}; all is in {log}"
