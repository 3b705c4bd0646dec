"""The nets that a report is made of: the original ones and runs of ours, in one form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from yosinski.audit.numbers import top1_statistic
from yosinski.audit.run import Run
from yosinski.original import OriginalNet, nets

BEST_TESTS = 10  # the paper's statistic is the mean of so many best tests
Who = Literal["original", "ours"]


@dataclass(frozen=True)
class Point:
    """One net with a result.

    Attributes:
        name: that of the original folder.
        family, split, base, target, half, n: as in ``OriginalNet``.
        top1: the paper's statistic; of an unfinished run, over the tests that it has.
        last_top1, last_loss: of the last test.
        iteration: where that was.
        notes: what is known to be odd about it.
        provenance: hashes and the like, by name; empty for originals.
    """

    who: Who
    name: str
    family: str
    split: str
    base: str
    target: str
    half: str
    n: int
    top1: float
    last_top1: float
    last_loss: float
    iteration: int
    tests: NDArray[np.void] = field(repr=False, compare=False)
    notes: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()

    @property
    def random_half(self) -> bool:
        """Whether it is a net on a random half: one of the main figure."""
        return self.half[:1].isdigit() and bool(self.target)


class Points:
    """Nets to choose from."""

    def __init__(self, points: Iterable[Point]) -> None:
        self.all = list(points)

    def of(self, family: str, n: int | None = None, **fields: Any) -> list[Point]:
        """Those of a family, on random halves where the family has them, with these values."""
        return [
            point
            for point in self.all
            if point.family == family
            and (n is None or point.n == n)
            and all(getattr(point, name) == value for name, value in fields.items())
        ]

    @cached_property
    def main(self) -> Points:
        """Those on random halves."""
        return Points(point for point in self.all if point.random_half)

    @cached_property
    def natman(self) -> Points:
        """Those on the natural and the man-made half."""
        return Points(point for point in self.all if point.half.startswith("natman"))

    def base_of(self, point: Point) -> float:
        """The mean top-1 of the base nets on the half that the net was trained for; nan if there is none."""
        return mean(base.top1 for base in self.of("base", half=point.half))


def mean(values: Iterable[float]) -> float:
    """The mean; nan of nothing."""
    found = list(values)
    return float(np.mean(found)) if found else float("nan")


def original_points() -> list[Point]:
    """The 148 original nets whose logs survive."""
    return [_original(net) for net in nets().values() if net.has_log]


def _original(net: OriginalNet) -> Point:
    tests = net.tests()
    return Point(
        who="original",
        name=net.name,
        family=net.family,
        split=net.split,
        base=net.base,
        target="" if net.target == "whole" else net.target,
        half=net.half,
        n=net.n,
        top1=net.top1,
        last_top1=net.last_top1,
        last_loss=net.last_loss,
        iteration=int(tests["iteration"][-1]),
        tests=tests,
        notes=tuple(net.gaps),
    )


def run_points(paths: Sequence[Path], split: str | None = None) -> tuple[list[Point], list[str]]:
    """Runs of ours, and for those that have no place in the report one line each that says why."""
    found, left_out = [], []
    for path in paths:
        try:
            point = _run(Run(path, split))
        except CaffeError as error:
            left_out.append(str(error))
            continue
        if isinstance(point, Point):
            found.append(point)
        else:
            left_out.append(f"{path}: {point}")
    return found, left_out


def _run(run: Run) -> Point | str:
    from yosinski.audit.output import provenance

    role, tests = run.role, run.log.tests[run.log.tests["iteration"] > 0]
    if role is None:
        return f"{run.name} is no net of the study, or on no known split: --split says which"
    if not len(tests):
        return "no test in its log"
    status = run.meta.get("status", "")
    notes = [str(path) for path in run.log.problems[:1]]
    if status and status != "finished":
        notes.append(f"{status} at iteration {run.iteration}")
    return Point(
        who="ours",
        name=role.name,
        family=role.family,
        split=role.spec.split or (f"{role.spec.per_class:04d}" if role.spec.per_class else "whole"),
        base=role.spec.base if role.spec.base_spec else "",
        target=role.spec.target,
        half=role.half,
        n=role.spec.n,
        top1=top1_statistic(tests, None, min(BEST_TESTS, len(tests))),
        last_top1=float(tests["top1"][-1]),
        last_loss=float(tests["loss"][-1]),
        iteration=int(tests["iteration"][-1]),
        tests=tests,
        notes=tuple(notes),
        provenance=tuple((key, str(value)) for key, value in provenance(run).items() if value is not None),
    )
