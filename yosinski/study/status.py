"""How far a study is, told from what its runs have on disk, while they go on or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from yosinski.study import tasks
from yosinski.study.folder import Folder

State = Literal["waits", "training", "stopped", "failed", "trained", "verified", "disagrees"]
DONE = ("trained", "verified", "disagrees")
TAIL = 1 << 16  # bytes at the end of a log that are looked at
LINE = re.compile(r"[IWEF](\d{8} \d\d:\d\d:\d\d\.\d{6}) +\d+ \S+\] (.*)")
LOSS = re.compile(r"Iteration (\d+)\b.*, loss = (\S+)")
TESTING = re.compile(r"Iteration (\d+), Testing net")
TOP1 = re.compile(r" *Test (?:net output|score) #0: (?:\S+ = )?(\S+)")
BEGINS = ("Starting Optimization", "Resuming from")


@dataclass(frozen=True)
class NetStatus:
    """One net. ``loss``, ``top1`` and speed are the newest that its log tells, None before.

    Attributes:
        reason: why it failed.
    """

    name: str
    state: State
    iteration: int
    iterations: int
    batch: int
    loss: float | None = None
    top1: float | None = None
    images_per_second: float | None = None
    reason: str = ""

    @property
    def seconds_left(self) -> float | None:
        """At its present speed; None if it is not in training."""
        if self.state != "training" or not self.images_per_second:
            return None
        return (self.iterations - self.iteration) * self.batch / self.images_per_second

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "seconds_left": self.seconds_left}


def read_status(folder: Folder, study: dict[str, Any]) -> list[NetStatus]:
    """All nets of a study, in the order of its plan. ``study``: what study.json says."""
    return [_status(folder, net) for net in study["nets"]]


def _status(folder: Folder, net: dict[str, Any]) -> NetStatus:
    run, name = folder.run(net["name"]), net["name"]
    meta = run.meta
    log = Tail(run.log)
    state: State = "waits"
    iteration, reason = max(log.iteration, 0), ""
    verification = run.path / "verify.json"
    if verification.exists():
        state = "verified" if json.loads(verification.read_text(encoding="utf-8"))["ok"] else "disagrees"
    elif (folder.path / tasks.done_of(name)).exists():
        state = "trained"
    elif run.busy:
        state = "training"
    elif meta:
        state = "failed" if meta["status"] == "failed" else "stopped"
        reason = meta.get("reason", "")
    if meta.get("status") == "finished":
        iteration = meta["iteration"]
    return NetStatus(
        name,
        state,
        iteration,
        net["iterations"],
        net["batch"],
        log.loss,
        log.top1,
        log.speed * net["batch"] if log.speed else None,
        reason,
    )


class Tail:
    """The newest numbers at the end of a log: ``speed`` in iterations a second, of the process that wrote it last."""

    def __init__(self, path: Path) -> None:
        self.iteration = -1
        self.loss: float | None = None
        self.top1: float | None = None
        shown: list[tuple[datetime, int]] = []
        tested_at = 0
        for line in _tail(path).splitlines():
            if not (match := LINE.match(line)):
                continue
            time, message = match.groups()
            if message.startswith(BEGINS):
                shown.clear()
            elif found := LOSS.match(message):
                self.iteration, self.loss = int(found[1]), float(found[2])
                shown.append((datetime.strptime(time, "%Y%m%d %H:%M:%S.%f"), self.iteration))
            elif found := TESTING.match(message):
                tested_at = int(found[1])
            elif tested_at and (found := TOP1.match(message)):  # at 0 nothing is learned yet
                self.top1 = float(found[1])
        self.speed: float | None = None
        if len(shown) > 1:
            (begin, first), (end, last) = shown[0], shown[-1]
            seconds = (end - begin).total_seconds()
            self.speed = (last - first) / seconds if seconds > 0 else None


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def summary(nets: Sequence[NetStatus]) -> str:
    """One line about all of them."""
    done = sum(net.state in DONE for net in nets)
    parts = [f"{done} of {len(nets)} nets trained"]
    parts += [f"{count} {what}" for what in ("training", "failed", "disagrees") if (count := _count(nets, what))]
    speed = sum(net.images_per_second or 0 for net in nets if net.state == "training")
    if speed:
        left = sum((net.iterations - net.iteration) * net.batch for net in nets if net.state not in DONE)
        parts += [f"{speed:.0f} img/s", f"{duration(left / speed)} of training left"]
    return ", ".join(parts)


def _count(nets: Iterable[NetStatus], state: str) -> int:
    return sum(net.state == state for net in nets)


def duration(seconds: float) -> str:
    """Such as 45 s, 12 min, 3.4 h, 51 days."""
    for limit, unit, name in ((100, 1, "s"), (100 * 60, 60, "min"), (72 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.{0 if unit < 3600 or seconds > 10 * unit else 1}f} {name}"
    return f"{seconds / 86400:,.0f} days"


def table(nets: Iterable[NetStatus], caption: str = "") -> Any:
    """A rich table."""
    from rich.table import Table

    found = Table(caption=caption, caption_justify="left")
    for title in ("net", "", "iteration", "loss", "top-1", "img/s", "left"):
        found.add_column(title, justify="left" if title in ("net", "") else "right")
    for net in nets:
        found.add_row(net.name, net.state, *cells(net))
    return found


def cells(net: NetStatus) -> list[str]:
    """Its numbers as text: iteration, loss, top-1, speed, time left."""
    left = net.seconds_left
    running = net.state == "training"
    return [
        f"{net.iteration}/{net.iterations}",
        "" if net.loss is None else f"{net.loss:.4g}",
        "" if net.top1 is None else f"{net.top1:.4f}",
        f"{net.images_per_second:.0f}" if running and net.images_per_second else "",
        duration(left) if left is not None else "",
    ]
