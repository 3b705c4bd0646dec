"""What a training run shows while it goes on: a bar on a terminal, Caffe's log lines elsewhere."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

REFRESH_S = 0.2


class Scores(logging.Handler):
    """Listens to the log for the newest numbers: training loss, learning rate, and each output of the first test net.

    The lines of 2014 are understood too; their outputs have numbers for names.

    Attributes:
        loss, lr: of the newest line that gives them; None before.
        test: outputs of test net #0 by name, of the newest test.
        tested_at: the iteration of that test; -1 before.
    """

    LOSS = re.compile(r"Iteration \d+.*, loss = (\S+)")
    RATE = re.compile(r"Iteration \d+, lr = (\S+)")
    TESTING = re.compile(r"Iteration (\d+), Testing net(?: \(#(\d+)\))?")
    OUTPUT = re.compile(r" *Test (?:net output #\d+: (?P<name>\S+) =|score #(?P<number>\d+):) (?P<value>\S+)")

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.loss: float | None = None
        self.lr: float | None = None
        self.test: dict[str, float] = {}
        self.tested_at = -1
        self._first_net = False

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if match := self.LOSS.match(message):
            self.loss = float(match[1])
        elif match := self.RATE.match(message):
            self.lr = float(match[1])
        elif match := self.TESTING.match(message):
            self._first_net = match[2] in ("0", None)
            if self._first_net:
                self.tested_at, self.test = int(match[1]), {}
        elif self._first_net and (match := self.OUTPUT.match(message)):
            self.test[match["name"] or match["number"]] = float(match["value"])

    @property
    def top1(self) -> float | None:
        """The accuracy of the newest test, in 2014 score #0; None if the net has no output of that name."""
        return next((value for name, value in self.test.items() if name.startswith(("accuracy", "0"))), None)


@contextmanager
def listening() -> Iterator[Scores]:
    """A ``Scores`` that follows the log within this context."""
    from caffe_compat import glog

    scores = Scores()
    glog.listen(scores)
    try:
        yield scores
    finally:
        glog.detach(scores)


@contextmanager
def bars() -> Iterator[Callable[[Any, Scores, str], None]]:
    """Gives what to call with a solver, its scores and a title, for a progress bar on stderr within this context."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, auto_refresh=False) as progress:
        shown = 0.0

        def add(solver: Any, scores: Scores, title: str) -> None:
            task = progress.add_task(title, total=solver.param.max_iter, completed=solver.iter, numbers="")
            began, first, batch = time.perf_counter(), solver.iter, images_per_iteration(solver)
            mine = 0.0

            def show() -> None:
                nonlocal shown, mine
                now = time.perf_counter()
                if now - mine < REFRESH_S:
                    return
                mine = now
                speed = (solver.iter - first) * batch / (now - began)
                refresh = now - shown >= REFRESH_S
                progress.update(task, completed=solver.iter, numbers=numbers(scores, speed), refresh=refresh)
                shown = now if refresh else shown

            solver.add_callback(show, lambda: None)

        yield add


def numbers(scores: Scores, speed: float) -> str:
    """The figures beside the bar; ``speed`` in images a second."""
    parts = []
    if scores.loss is not None:
        parts.append(f"loss {scores.loss:.4g}")
    if scores.lr is not None:
        parts.append(f"lr {scores.lr:g}")
    if scores.top1 is not None:
        parts.append(f"top-1 {scores.top1:.4f}")
    return "  ".join([*parts, f"{speed:.0f} img/s"])


def images_per_iteration(solver: Any) -> int:
    """Images of one update: the first axis of the net's first blob, iter_size times, by all processes."""
    blob = next(iter(solver.net.blobs.values()), None)
    return int(blob.shape[0]) * solver.param.iter_size * solver.world.size if blob is not None and blob.shape else 1


@contextmanager
def counting(title: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for work that reports (done, total); None, so nothing to report to, where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
