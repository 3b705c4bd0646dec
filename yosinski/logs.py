"""Training logs of Caffe, of 2014 and of 1.0, and ours: the displayed losses and the tests of a run, as tables.

The two eras print the same facts differently (``docs/audit.md``). In 2014, updates are counted from 1, so that the
loss labelled k is that of batch k, the learning rate comes before it, and tests print ``Test score #0``. In Caffe 1.0
the loss labelled k is that of batch k + 1, the learning rate comes after it, and tests print ``Test net output #0``.
The label of a test means the same in both: the updates done before it.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError

Era = Literal["2014", "1.0"]
LOSS = np.dtype([("iteration", np.int64), ("batch", np.int64), ("loss", np.float64), ("lr", np.float64)])
TEST = np.dtype([("iteration", np.int64), ("top1", np.float64), ("loss", np.float64)])
NAMES = ("train.log", "*.log", "*.log.gz", "*.o[0-9M]*", "*.e[0-9]*")  # ours, and what batch systems write

PREFIX = re.compile(r"[IWEF](?P<date>\d{8}|\d{4}) (?P<time>\d\d:\d\d:\d\d\.\d+) +\d+ [^\s\]]+:\d+\] (?P<message>.*)")
MESSAGE = re.compile(
    r"Iteration (?P<at>\d{1,15})(?:(?: \([^)]*\))?, loss = (?P<loss>[^\s_]+)|, lr = (?P<lr>[^\s_]+)"
    r"|, Testing net(?: \(#(?P<net>\d+)\))?)"
    r"|Test score #(?P<score>\d+): (?P<score_value>[^\s_]+)"
    r"|Test net output #\d+: (?P<output>\S+) = (?P<output_value>[^\s_]+)(?: \(.*\))?"
)
OURS = re.compile(r"(?:Iteration \d|Test score #|Test net output #)")  # what a line that matters begins with
BEHIND = re.compile(r"\] +(?:Iteration \d|Test score #|Test net output #)")  # ... behind any kind of prefix
TOP1 = re.compile(r"acc|top-?_?1", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """A line that should have told something and does not; line 0 stands for the file."""

    file: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(frozen=True)
class RunLog:
    """What the logs of one run say, each iteration once.

    Attributes:
        losses: ``LOSS`` by rising iteration. ``iteration`` is the label, ``batch`` the number of the training batch,
            counted from 1 over all updates; ``lr`` is nan where the log does not tell it.
        tests: ``TEST`` by rising iteration, of test net #0; ``loss`` is nan where the net has no such output.
        problems: lines and files that could not be read.
        eras: of the files that tell.
    """

    losses: NDArray[np.void]
    tests: NDArray[np.void]
    problems: tuple[Problem, ...] = ()
    eras: frozenset[Era] = frozenset()


class Record(NamedTuple):
    """One displayed number, or one test, with what decides between two of the same iteration."""

    stamp: tuple[str, str]  # date and time as printed
    kind: Literal["loss", "lr", "test"]
    iteration: int
    values: tuple[float, ...]


@dataclass
class FileLog:
    """The records of one file in its own order."""

    path: Path
    records: list[Record] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    votes: dict[str, int] = field(default_factory=lambda: {"order 2014": 0, "order 1.0": 0, "2014": 0, "1.0": 0})

    @property
    def era(self) -> Era | None:
        """Told by which comes first, loss or learning rate, since the labels changed with that; else by the tests."""
        for old, new in (("order 2014", "order 1.0"), ("2014", "1.0")):
            if self.votes[old] != self.votes[new]:
                return "2014" if self.votes[old] > self.votes[new] else "1.0"
        return None


def find_logs(folder: Path) -> list[Path]:
    """The log files of a run directory, ours or one of the published ones. CaffeError if there are none."""
    found = sorted({path for name in NAMES for path in folder.glob(name) if path.is_file()})
    if not found:
        raise CaffeError(f"{folder}: no log in it; expected train.log or files named {', '.join(NAMES[1:])}")
    return found


def read_run(files: Iterable[Path]) -> RunLog:
    """Read the log files of one run, which may have been killed and restarted.

    Of two values for an iteration the one with the later time stamp counts, whatever the order of files and lines:
    a resumed run computes the end of the killed one again. Stamps without a year that span more than half a year are
    taken to go over New Year. A test without all its scores is left out. Nothing raises: what cannot be read is among
    the problems.
    """
    logs = [read_file(path) for path in files]
    key = _ordering({record.stamp[0] for log in logs for record in log.records})
    newest: dict[str, dict[int, tuple[tuple[str, str], Record, int]]] = {"loss": {}, "lr": {}, "test": {}}
    for log in logs:
        shift = 0 if log.era == "2014" else 1
        for record in log.records:
            stamp = (key[record.stamp[0]], record.stamp[1])
            old = newest[record.kind].get(record.iteration)
            if old is None or stamp >= old[0]:
                newest[record.kind][record.iteration] = (stamp, record, shift)
    rate = {at: record.values[0] for at, (_, record, _) in newest["lr"].items()}
    losses = [
        (at, at + shift, record.values[0], rate.get(at, np.nan)) for at, (_, record, shift) in newest["loss"].items()
    ]
    tests = [(at, *record.values) for at, (_, record, _) in newest["test"].items()]
    if any(not np.isnan(loss) for _, _, loss in tests):
        tests = [test for test in tests if not np.isnan(test[2])]
    return RunLog(
        np.array(sorted(losses), LOSS),
        np.array(sorted(tests), TEST),
        tuple(problem for log in logs for problem in log.problems),
        frozenset(log.era for log in logs if log.era),
    )


def read_file(path: Path) -> FileLog:
    """Read one file, plain or gzipped; stops without an error where it ends or where it is damaged."""
    log = FileLog(path)
    number = 0
    try:
        with open_log(path) as stream:
            reader = _Reader(log)
            for number, line in enumerate(stream, start=1):
                reader.take(number, line)
            reader.finish_test()
    except EOFError:
        log.problems.append(Problem(path, number + 1, "the compressed file is cut off"))
    except zlib.error as error:
        log.problems.append(Problem(path, number + 1, f"the compressed file is damaged: {error}"))
    except OSError as error:
        log.problems.append(Problem(path, number and number + 1, f"cannot read: {error.strerror or error}"))
    return log


def open_log(path: Path) -> TextIO:
    """A log file as text, decompressed if it needs it; bytes that are no text become U+FFFD."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    if packed:
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")


class _Reader:
    """The state between lines: the test that goes on, and the last number displayed."""

    def __init__(self, log: FileLog) -> None:
        self.log = log
        self.testing: tuple[tuple[str, str], int] | None = None
        self.scores: dict[str, float] = {}
        self.last: Record | None = None

    def take(self, number: int, line: str) -> None:
        prefix = PREFIX.match(line)
        message = prefix["message"].strip() if prefix else ""
        match = MESSAGE.fullmatch(message)
        if prefix is None or match is None:
            if OURS.match(message) or (prefix is None and BEHIND.search(line)):
                what = "a line that is cut off" if not line.endswith("\n") else "not a line of Caffe's"
                self._problem(number, f"{what}: {line.strip()[:80]!r}")
            return
        try:
            self._use(match, (prefix["date"], prefix["time"]))
        except ValueError:
            self._problem(number, f"not a number: {line.strip()[:80]!r}")

    def _use(self, match: re.Match[str], stamp: tuple[str, str]) -> None:
        votes, of = self.log.votes, match.groupdict()
        if of["score"] is not None:
            votes["2014"] += 1
            name = {"0": "accuracy", "1": "loss"}.get(of["score"], of["score"])
            self.scores[name] = float(of["score_value"])
        elif of["output"] is not None:
            votes["1.0"] += 1
            self.scores[of["output"]] = float(of["output_value"])
        elif of["loss"] is None and of["lr"] is None:
            self.finish_test()
            self.testing = (stamp, int(of["at"])) if of["net"] in (None, "0") else None
        else:
            self.finish_test()
            kind: Literal["loss", "lr"] = "lr" if of["loss"] is None else "loss"
            record = Record(stamp, kind, int(of["at"]), (float(of[kind]),))
            if self.last is not None and self.last.iteration == record.iteration and self.last.kind != kind:
                votes["order 1.0" if kind == "lr" else "order 2014"] += 1
            self.last = record
            self.log.records.append(record)

    def finish_test(self) -> None:
        """Keep the test that went on, if it has its accuracy."""
        top1 = next((value for name, value in self.scores.items() if TOP1.search(name)), None)
        if self.testing is not None and top1 is not None:
            loss = next((value for name, value in self.scores.items() if "loss" in name), np.nan)
            self.log.records.append(Record(self.testing[0], "test", self.testing[1], (top1, loss)))
        self.testing, self.scores = None, {}

    def _problem(self, number: int, what: str) -> None:
        self.log.problems.append(Problem(self.log.path, number, what))


def _ordering(dates: set[str]) -> dict[str, str]:
    """For each date as printed, MMDD or YYYYMMDD, a string that sorts right."""
    months = sorted({int(date[-4:-2]) for date in dates})
    over_new_year = bool(months) and months[-1] - months[0] > 6
    if all(len(date) == 8 for date in dates):
        return {date: date for date in dates}
    return {date: ("1" if over_new_year and int(date[-4:-2]) <= 6 else "0") + date[-4:] for date in dates}


def describe(problems: Iterable[Problem], limit: int = 5) -> Iterator[str]:
    """Lines for people: the first few problems, and how many more there are."""
    shown = list(problems)
    yield from map(str, shown[:limit])
    if len(shown) > limit:
        yield f"... and {len(shown) - limit} more lines"
