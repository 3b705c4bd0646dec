"""Contenders timed in turn, so that another load on the machine slows all of them alike, and what follows from it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Progress = Callable[[str, int, int], None]  # what is being measured, rounds done, rounds in all
Samples = dict[str, list[float]]  # by contender: seconds of each round
LOWER, HIGHER = "lower", "higher"


@dataclass(frozen=True)
class Reported:
    """A run that says itself how many seconds it took, such as another program, whose start does not count."""

    run: Callable[[], float]


Run = Callable[[], object] | Reported


@dataclass(frozen=True)
class Ratio:
    """Seconds of one contender by those of another.

    Attributes:
        better: `HIGHER` or `LOWER`.
        goal: what it should at least, or at most, be.
        title: what it is called if not "OF / TO".
    """

    of: str
    to: str
    better: str = HIGHER
    goal: float | None = None
    title: str = ""

    @property
    def name(self) -> str:
        return self.title or f"{self.of} / {self.to}"


@dataclass(frozen=True)
class Comparison:
    """What was measured together.

    Attributes:
        name: BENCH/WHAT, its name in files.
        title: what the contenders do.
        samples: seconds that each contender took for the same work, by round.
        work: that work, in ``unit``; 0 where no rate is of interest.
        ratios: those of interest.
        table: contenders are named "ROW: COLUMN", and shown as such a table of medians.
        facts: other figures, by what they are.
    """

    name: str
    title: str
    samples: Samples
    work: float = 0.0
    unit: str = "img"
    ratios: tuple[Ratio, ...] = ()
    table: bool = False
    facts: Mapping[str, float | str] = field(default_factory=dict)

    def value(self, ratio: Ratio) -> float:
        """The median over the rounds of the ratio within a round: what slows both sides alike leaves it alone."""
        pairs = zip(self.samples[ratio.of], self.samples[ratio.to], strict=True)
        return statistics.median(of / to for of, to in pairs)

    def rate(self, contender: str) -> float:
        """Units of work a second, by the median time."""
        return self.work / statistics.median(self.samples[contender])

    def to_json(self) -> dict[str, Any]:
        contenders = {}
        for name, samples in self.samples.items():
            low, high = spread(samples)
            contenders[name] = {"median_s": statistics.median(samples), "quartiles_s": [low, high], "seconds": samples}
            if self.work:
                contenders[name][f"{self.unit}_per_s"] = self.rate(name)
        ratios = {
            ratio.name: {"value": self.value(ratio), "better": ratio.better, "goal": ratio.goal}
            for ratio in self.ratios
        }
        return {
            "title": self.title,
            "work": self.work,
            "unit": self.unit,
            "contenders": contenders,
            "ratios": ratios,
            "facts": dict(self.facts),
        }


def interleave(
    what: str,
    runs: Mapping[str, Run],
    rounds: int,
    *,
    warm_up: int = 1,
    settle: bool = False,
    rest: float = 0,
    progress: Progress | None = None,
    wait: Callable[[], object] | None = None,
) -> Samples:
    """Time every run once a round, always in the same order, so that each finds what the same other one has left.

    Args:
        what: the words for ``progress``.
        warm_up: rounds that do not count.
        settle: make each run once without counting it right before, for runs so short and large that caches and heap
            as the run before has left them would be felt.
        rest: seconds before each run, in which threads and processes that read ahead for the one before fill their
            queues.
        wait: waits for the device that the runs give work to.
    """
    samples: Samples = {name: [] for name in runs}
    for number in range(warm_up + rounds):
        for name in runs:
            if settle:
                timed(runs[name], wait)
            sleep(rest)
            took = timed(runs[name], wait)
            if number >= warm_up:
                samples[name].append(took)
        if progress:
            progress(what, number + 1, warm_up + rounds)
    return samples


def timed(run: Run, wait: Callable[[], object] | None) -> float:
    if isinstance(run, Reported):
        return run.run()
    began = perf_counter()
    run()
    if wait is not None:
        wait()
    return perf_counter() - began


def waiting(device: torch.device) -> Callable[[], object] | None:
    """What waits until a device has done what it was told; None for the CPU, which is done when a call returns."""
    if device.type != "cuda":
        return None
    import torch

    return lambda: torch.cuda.synchronize(device)


def fastest(samples: Samples, start: str) -> str:
    """Of the contenders whose names begin so, that with the least median."""
    return min((name for name in samples if name.startswith(start)), key=lambda name: statistics.median(samples[name]))


def spread(samples: list[float]) -> tuple[float, float]:
    """The quartiles; of a single sample the sample."""
    if len(samples) == 1:
        return samples[0], samples[0]
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, high
