"""How much two equal runs differ: measured on the original nets themselves.

The study trained each net once, so that no pair of equal runs exists. But the nets on the random halves follow a
pattern: a value of a net is close to one part for its kind (family and n) plus one part for the half that it is
trained and tested on. What is left over comes from initial weights, from the base net it started from, and from
interplay of half and kind; its standard deviation is that of a single training run, or a little more. It is an upper
estimate of what another seed does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from yosinski.original import OriginalNet

HALVES = ("0", "1", "2", "3")  # the random splits; the pattern is theirs


@dataclass(frozen=True)
class Spread:
    """The standard deviation of a single run, the degrees of freedom that it is known with, and the nets behind it."""

    sd: float
    degrees: int
    nets: int


@dataclass(frozen=True)
class Pattern:
    """Kind + half, fitted by least squares to the values of the nets on the random halves."""

    spread: Spread
    residuals: dict[str, float]
    kinds: dict[tuple[str, int], int]
    halves: dict[str, int]
    weights: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def expect(self, family: str, n: int, half: str) -> tuple[float, float] | None:
        """What the pattern says of such a net, and the standard error of that without a run's own spread.

        None for a kind or a half that no net of the fit has.
        """
        if (family, n) not in self.kinds or half not in self.halves:
            return None
        row = _row(self.kinds, self.halves, (family, n), half)
        return float(row @ self.weights), self.spread.sd * sqrt(max(float(row @ self.covariance @ row), 0.0))


def fit(values: dict[OriginalNet, float]) -> Pattern:
    """Fit the pattern to ``values``; nets that are not on a random half are left out."""
    nets = [net for net in values if net.split in HALVES and np.isfinite(values[net])]
    kinds = {kind: i for i, kind in enumerate(sorted({(net.family, net.n) for net in nets}))}
    halves = {half: i for i, half in enumerate(sorted({net.half for net in nets}))}
    rows = np.array([_row(kinds, halves, (net.family, net.n), net.half) for net in nets])
    rows = rows.reshape(len(nets), len(kinds) + len(halves))
    measured = np.array([values[net] for net in nets])
    inverse = np.linalg.pinv(rows)
    weights = inverse @ measured
    left = measured - rows @ weights
    degrees = len(nets) - (int(np.linalg.matrix_rank(rows)) if len(nets) else 0)
    sd = sqrt(float(left @ left) / degrees) if degrees else float("nan")
    residuals = {net.name: float(value) for net, value in zip(nets, left, strict=True)}
    return Pattern(Spread(sd, degrees, len(nets)), residuals, kinds, halves, weights, inverse @ inverse.T)


@lru_cache(maxsize=256)
def t_quantile(probability: float, degrees: int) -> float:
    """The quantile of Student's t, good to 0.1 %.

    With t = sqrt(v) tan(a), the density in the angle a is proportional to cos(a) ** (v - 1): its sum is inverted.
    """
    angle = np.linspace(-np.pi / 2, np.pi / 2, 400_001)
    middle = (angle[1:] + angle[:-1]) / 2
    total = np.concatenate([[0.0], np.cumsum(np.cos(middle) ** (degrees - 1))])
    return float(sqrt(degrees) * np.tan(np.interp(probability, total / total[-1], angle)))


def _row(
    kinds: dict[tuple[str, int], int], halves: dict[str, int], kind: tuple[str, int], half: str
) -> NDArray[np.float64]:
    row = np.zeros(len(kinds) + len(halves))
    row[kinds[kind]] = row[len(kinds) + halves[half]] = 1
    return row
