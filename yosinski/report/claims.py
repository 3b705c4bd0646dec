"""The paper's five claims as statements that are computed, each with its evidence, its n and its interval.

A difference is taken within a half, since nets trained on one half share its classes, its images and their order.
The unit is the split: differences of nets on one split are averaged first, as they share base nets, and the interval
is Student's over the splits. Where there is one unit only, there is an estimate and no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal

import numpy as np

from yosinski.audit.pattern import t_quantile
from yosinski.report.points import Point, Points, mean

Holds = Literal["holds", "does not hold", "cannot be told"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Evidence:
    """One number of a claim: a mean difference of top-1 with its interval.

    Attributes:
        expected: the sign that the claim gives it; 0: it should be small, within ``tolerance``.
        units, nets: how many independent units and nets it rests on.
    """

    what: str
    value: float
    low: float
    high: float
    units: int
    nets: int
    expected: int
    tolerance: float = 0.0

    @property
    def holds(self) -> Holds:
        """Holds if the interval lies on the expected side, does not if it lies on the other."""
        if np.isnan(self.low):
            return "cannot be told"
        if self.expected == 0:
            small = -self.tolerance <= self.low and self.high <= self.tolerance
            apart = self.low > self.tolerance or self.high < -self.tolerance
            return "holds" if small else "does not hold" if apart else "cannot be told"
        low, high = sorted((self.low * self.expected, self.high * self.expected))
        return "holds" if low > 0 else "does not hold" if high < 0 else "cannot be told"

    def __str__(self) -> str:
        if np.isnan(self.value):
            return f"{self.what}: no nets"
        interval = "" if np.isnan(self.low) else f" [{100 * self.low:+.2f}, {100 * self.high:+.2f}]"
        return f"{self.what}: {100 * self.value:+.2f} points{interval}, {self.nets} nets, {self.units} unit(s)"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper in one sentence, and what speaks for it."""

    number: int
    text: str
    evidence: list[Evidence]
    caution: str

    @property
    def holds(self) -> Holds:
        """Holds if all evidence does; does not hold if some does not."""
        says = {one.holds for one in self.evidence}
        if says == {"holds"}:
            return "holds"
        return "does not hold" if "does not hold" in says else "cannot be told"


def claims(points: Points) -> list[Claim]:
    """All five, from these nets."""
    main, natman = points.main, points.natman
    frozen, tuned = main.of("transfer"), main.of("transfer+")
    return [
        Claim(
            1,
            "Lower layers are general, higher layers specific: frozen copies of layers 1-2 cost almost nothing on "
            "another task, of layers 6-7 much.",
            [
                by_split("AnB - base, n = 1-2", frozen, main.base_of, range(1, 3), 0, tolerance=0.01),
                by_split("AnB - base, n = 6-7", frozen, main.base_of, range(6, 8), -1),
            ],
            "'Almost nothing' means less than 1 point here.",
        ),
        Claim(
            2,
            "Two things cost performance: splitting co-adapted neighbours in the middle, and specificity at the top.",
            [
                by_split("BnB - base, n = 4-5 (co-adaptation)", main.of("selffer"), main.base_of, range(4, 6), -1),
                by_split("BnB - base, n = 7 (none left)", main.of("selffer"), main.base_of, range(7, 8), 0, 0.01),
                by_split("AnB - BnB, n = 6-7 (specificity)", frozen, _like(main, "selffer"), range(6, 8), -1),
            ],
            "The original BnB were trained on the A halves only: AnB on B is compared with BnB on A, each less its own "
            "base.",
        ),
        Claim(
            3,
            "Features transfer worse the less the tasks resemble each other.",
            [
                contrast(
                    "loss of AnB, natural / man-made against random split, n = 3-7",
                    units(natman.of("transfer"), natman.base_of, range(3, 8), lambda point: point.target),
                    units(frozen, main.base_of, range(3, 8), lambda point: point.split),
                    -1,
                )
            ],
            "There is one natural / man-made split; its two directions are taken as the units. The halves differ in "
            "size, too: 449 and 551 classes.",
        ),
        Claim(
            4,
            "Features of a distant task are better than random ones.",
            [
                paired_by_layer(
                    f"random weights - {what}, relative to their bases, n = {ns.start}-{ns.stop - 1}",
                    points.of("random"),
                    mean(p.top1 for p in points.of("base", half="whole")),
                    chosen,
                    base,
                    ns,
                )
                for what, chosen, base, ns in (
                    ("natural / man-made", natman.of("transfer"), natman.base_of, range(1, 8)),
                    ("random split", frozen, main.base_of, range(1, 8)),
                )
            ],
            "The units are the layers. One net each, trained on all classes; nets 3-7 hardly learned or did not, which "
            "may be an accident of their start. They and their base used different mean images.",
        ),
        Claim(
            5,
            "Transferred features that are fine-tuned generalise better than features learned on the target alone.",
            [
                by_split("AnB+ - base on the same half", tuned, main.base_of, range(1, 8), 1),
                by_split("AnB+ - BnB+", tuned, _like(main, "selffer+"), range(1, 8), 1),
            ],
            "Logs of the original AnB+ survive for two splits, with one net at layers 1 and 5-7, all on B halves, and "
            "of BnB+ on A halves: the two are compared each less its own base, which Table 1 of the paper did not do.",
        ),
    ]


def by_split(
    what: str,
    nets: Iterable[Point],
    against: Callable[[Point], float],
    layers: range,
    expected: int,
    tolerance: float = 0.0,
) -> Evidence:
    """The mean over splits of the differences between nets at these layers and what they are held against."""
    chosen = [point for point in nets if point.n in layers and np.isfinite(against(point))]
    values = units(chosen, against, layers, lambda point: point.split)
    return _evidence(what, values, len(chosen), expected, tolerance)


def units(
    nets: Iterable[Point], against: Callable[[Point], float], layers: range, key: Callable[[Point], str]
) -> list[float]:
    """Mean differences, one for each value of ``key``; within it, each layer counts the same."""
    found: dict[str, dict[int, list[float]]] = {}
    for point in nets:
        difference = point.top1 - against(point)
        if point.n in layers and np.isfinite(difference):
            found.setdefault(key(point), {}).setdefault(point.n, []).append(difference)
    return [mean(mean(values) for values in layer.values()) for layer in found.values()]


def contrast(what: str, one: list[float], other: list[float], expected: int) -> Evidence:
    """The difference of two means of units, with Welch's interval."""
    value = mean(one) - mean(other)
    if len(one) < 2 or len(other) < 2:
        return Evidence(what, value, nan, nan, len(one) + len(other), len(one) + len(other), expected)
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (one, other)]
    degrees = sum(parts) ** 2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (one, other), strict=True))
    reach = t_quantile(0.5 + CONFIDENCE / 2, max(int(degrees), 1)) * sqrt(sum(parts))
    return Evidence(what, value, value - reach, value + reach, len(one) + len(other), len(one) + len(other), expected)


def paired_by_layer(
    what: str,
    random: list[Point],
    random_base: float,
    nets: list[Point],
    against: Callable[[Point], float],
    layers: range,
) -> Evidence:
    """Layer by layer: random nets against their base, minus the mean of ``nets`` against theirs."""
    values = [
        mean(p.top1 - random_base for p in random if p.n == n) - mean(p.top1 - against(p) for p in nets if p.n == n)
        for n in layers
    ]
    finite = [value for value in values if np.isfinite(value)]
    return _evidence(what, finite, sum(p.n in layers for p in [*random, *nets]), -1)


def _like(points: Points, family: str) -> Callable[[Point], float]:
    """The base's top-1 plus what a family's nets of the same split and layer gain or lose against their own bases."""

    def value(point: Point) -> float:
        others = points.of(family, point.n, split=point.split)
        return points.base_of(point) + mean(other.top1 - points.base_of(other) for other in others)

    return value


def _evidence(what: str, values: list[float], nets: int, expected: int, tolerance: float = 0.0) -> Evidence:
    value = mean(values)
    if len(values) < 2:
        return Evidence(what, value, nan, nan, len(values), nets, expected, tolerance)
    error = float(np.std(values, ddof=1)) / sqrt(len(values))
    reach = t_quantile(0.5 + CONFIDENCE / 2, len(values) - 1) * error
    return Evidence(what, value, value - reach, value + reach, len(values), nets, expected, tolerance)
