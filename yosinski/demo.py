"""The demo: six small nets of the study, trained on real images, exported, and checked in three runtimes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from caffe_compat.errors import CaffeError
from yosinski.net_names import DEMO, base_of
from yosinski.resources import find_prototxt
from yosinski.run_dir import RunDir

if TYPE_CHECKING:
    from yosinski.verify_report import VerifyReport

AT_A_TIME = 2  # nets in training, each on one core
RUNTIMES = ("torch", "onnxruntime", "onnx_check")
REFERENCE = "base_B"  # what the nets on half B are held against

Progress = Callable[[str, str, int], None]  # called with a net, what happens to it, and the iterations done


def run_demo(out: Path, max_iter: int | None = None, progress: Progress = lambda *_: None) -> dict[str, VerifyReport]:
    """Train the nets in ``out``, two at a time, base nets first; then export and verify each.

    What is there from an earlier call is kept: finished runs are not trained again, stopped ones go on.

    Args:
        out: holds the data in ``data/mini`` and a run directory for each net.
        max_iter: instead of the solver's.
        progress: called from several threads.

    Returns:
        What the runtimes say of each net.

    Raises:
        CaffeError: a training failed, with its reason.
    """
    from yosinski.demo_data import write_demo_data

    write_demo_data(out / "data" / "mini")
    checker = ThreadPoolExecutor(1).submit(find_checker)  # its first build takes a while
    bases = [name for name in DEMO if base_of(name) is None]
    for names in (bases, [name for name in DEMO if name not in bases]):
        for_each(names, lambda name, children: train(name, out, max_iter, progress, children))
    checker.result()
    return {name: check(name, out, progress) for name in DEMO}


def for_each(names: Iterable[str], work: Callable[[str, Children], None]) -> None:
    """Do the work for all names, some at a time; at the first failure, or Ctrl-C, stop the others."""
    pool, children = ThreadPoolExecutor(AT_A_TIME), Children()
    try:
        for job in [pool.submit(work, name, children) for name in names]:
            job.result()
    except BaseException:
        children.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class Children:
    """Processes that know nothing of the terminal's Ctrl-C, so that each is stopped once, and with a snapshot."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, command: list[str], on_line: Callable[[str], None]) -> tuple[int, str]:
        """Run a command with one thread; each line that it logs is passed on. Returns exit code and last line."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True, "start_new_session": True}
        last = ""
        with subprocess.Popen(command, env=environment, **pipes) as child:  # type: ignore[call-overload]
            self._running.add(child)
            if self._stopped:
                child.send_signal(signal.SIGINT)
            for last in child.stderr:
                on_line(last)
        self._running.discard(child)
        return child.returncode, last.strip()

    def stop(self) -> None:
        """Ask all processes to stop, as Ctrl-C would."""
        self._stopped = True
        for child in list(self._running):
            child.send_signal(signal.SIGINT)


def train(name: str, out: Path, max_iter: int | None, progress: Progress, children: Children) -> None:
    """Train one net with the `yosinski train` of this Python, in a process of its own."""
    run = RunDir(out / name)
    if run.finished:
        progress(name, "trained before", run.iteration)
        return
    command = [sys.executable, "-m", "yosinski", "train", str(find_prototxt(Path("mini", name)))]
    command += ["--out", str(run.path), "--data-root", str(out)]
    command += ["--max-iter", str(max_iter)] if max_iter is not None else []
    command += ["--resume"] if run.snapshots("solverstate") else []
    progress(name, "training", run.iteration)

    def on_line(line: str) -> None:
        if match := re.search(r"\] Iteration (\d+)", line):
            progress(name, "training", int(match[1]))

    code, last = children.run(command, on_line)
    if code:
        raise CaffeError(f"training {name}: {last.removeprefix('yosinski: ')}")
    progress(name, "trained", run.iteration)


def check(name: str, out: Path, progress: Progress) -> VerifyReport:
    """Export one net and compare its runtimes on its validation images."""
    from yosinski.verify_model import verify_model

    done = RunDir(out / name).iteration
    progress(name, "exporting, verifying", done)
    report = verify_model(out / name, runtimes=RUNTIMES)
    progress(name, "verified" if report.ok else "runtimes disagree", done)
    return report


def find_checker() -> None:
    """Have the C++ checker ready, or leave it to the verification to say what is missing."""
    from yosinski.onnx_check import OnnxCheckUnavailable, find_or_build

    with suppress(OnnxCheckUnavailable):
        find_or_build()
