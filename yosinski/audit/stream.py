"""The fingerprint of a data stream: did two nets see the same training images in the same order?

A batch of hard images gives a high loss in any net, so that the displayed losses of two nets on the same stream go up
and down together: r is about 0.3 to 0.8 for the original nets of one training set, all of which read it in one order.
It shows the images, their order and their labels; it does not show the crops by themselves.

Losses are first detrended: a moving mean over ``detrend`` displayed losses is subtracted. They are compared by their
position in the stream: a process that starts at iteration s reads from the first record again, so that the batch of
update k there has the position k - s. Of a net that saw a position several times, the first time counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yosinski.audit.rules import StreamRules

Answer = Literal["same", "other", "undecided"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fingerprint:
    """How far two streams go together.

    Attributes:
        r: Pearson's correlation of the detrended losses at equal positions; nan where there is nothing to compare.
        low, high: its confidence interval. Its width comes from ``spread``, not from the number of points alone.
        points: positions compared.
        control: the median correlation of the same losses shifted against each other; 0 if the detrending is right.
        control_low, control_high: the interval in which that lies if its true value is 0.
        spread: standard deviation of the shifted correlations, from their median absolute deviation.
        answer: same if the whole interval lies above the boundary, other if it lies below.
        reason: why it is undecided; empty otherwise.
    """

    r: float
    low: float
    high: float
    points: int
    control: float
    control_low: float
    control_high: float
    spread: float
    answer: Answer
    reason: str = ""


@dataclass(frozen=True)
class Stream:
    """Detrended displayed losses by position; ``learned`` is False where the losses never left their plateau."""

    position: NDArray[np.int64]
    loss: Floats
    learned: bool


def read_stream(
    losses: NDArray[np.void], starts: Sequence[int | None], rules: StreamRules, classes: int, first_batch: int
) -> Stream:
    """The stream of one net between ``first_batch`` and ``rules.last_batch``.

    Args:
        losses: a table of ``yosinski.logs.LOSS``.
        starts: iterations at which its processes began; None for one that is not known.
        classes: decides where the plateau is, at ln(classes).
    """
    values = detrend(losses["loss"], rules.detrend)
    known = sorted(start for start in starts if start is not None)
    position = np.full(len(losses), -1, np.int64)
    for start in known:  # each start overrides the ones before it from there on
        later = losses["batch"] > start
        position[later] = losses["batch"][later] - start
    if None in starts and known:
        position[losses["batch"] <= known[0]] = -1  # nobody knows where that process began
    inside = (position >= first_batch) & (position <= rules.last_batch) & np.isfinite(values)
    _, first = np.unique(position[inside], return_index=True)
    level = np.median(losses["loss"][inside]) if inside.any() else np.inf
    return Stream(position[inside][first], values[inside][first], bool(level < np.log(classes) - rules.plateau))


def first_batch(last: int, rules: StreamRules) -> int:
    """Where the comparison begins for a run that is at iteration ``last``: early learning hides the batches."""
    return min(rules.first_batch, int(rules.skip * last))


def detrend(losses: NDArray[np.floating], width: int) -> Floats:
    """Losses without their moving mean over ``width`` values; at the ends the mean is over those that are there."""
    values = np.asarray(losses, np.float64)
    if not len(values):
        return values
    half = width // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    begin, end = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return values - (sums[end] - sums[begin]) / (end - begin)


def compare(one: Stream, other: Stream, rules: StreamRules) -> Fingerprint:
    """Correlate two streams and say whether they are the same."""
    mine = np.isin(one.position, other.position, assume_unique=True)
    theirs = np.isin(other.position, one.position, assume_unique=True)
    x, y = one.loss[mine], other.loss[theirs]
    points = len(x)
    if points < rules.least_points:
        return _nothing(points, _why_so_few(one, other, points, rules))
    if x.std() == 0 or y.std() == 0:
        return _nothing(points, "the displayed losses do not vary")
    r = _correlation(x, y)
    shifted = shifted_correlations(x, y, rules)
    z = NormalDist().inv_cdf(0.5 + rules.confidence / 2)
    control = float(np.median(shifted))
    spread = max(1.4826 * float(np.median(np.abs(shifted - control))), float(1 / np.sqrt(points)))
    low, high = (float(np.tanh(np.arctanh(np.clip(r, -0.999999, 0.999999)) + sign * z * spread)) for sign in (-1, 1))
    answer: Answer = "same" if low > rules.boundary else "other" if high < rules.boundary else "undecided"
    reason = f"the interval reaches over {rules.boundary:g}" if answer == "undecided" else ""
    if not (one.learned and other.learned):
        answer, reason = "undecided", "a net that has not learned yet shows no order of images"
    # a median of m values with standard deviation s has one of 1.2533 s / sqrt(m)
    reach = float(z * 1.2533 * spread / np.sqrt(len(shifted)))
    return Fingerprint(r, low, high, points, control, -reach, reach, spread, answer, reason)


def shifted_correlations(x: Floats, y: Floats, rules: StreamRules) -> Floats:
    """Correlations of x with y moved by ``least_shift`` displays and more, cyclically, in both directions.

    Nets on one set see each image again every epoch, which gives a few of the shifts a correlation of their own; the
    median of many does not feel it. Where the series is short, the shifts are as many as fit.
    """
    x, y = x[: len(x) // 8 * 8], y[: len(x) // 8 * 8]  # the transform of a prime length takes 25 times as long
    centred, moved = x - x.mean(), y - y.mean()
    least = min(rules.least_shift, len(x) // 4)
    most = min(least + rules.shifts, len(x) // 2)
    scale = np.sqrt((centred**2).sum() * (moved**2).sum())
    products = np.fft.irfft(np.fft.rfft(centred) * np.conj(np.fft.rfft(moved)), len(x))  # all shifts at once
    return np.asarray(np.concatenate([products[least:most], products[-most + 1 : -least + 1 or None]]) / scale)


def _correlation(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def _nothing(points: int, reason: str) -> Fingerprint:
    nan = float("nan")
    return Fingerprint(nan, nan, nan, points, nan, nan, nan, nan, "undecided", reason)


def _why_so_few(one: Stream, other: Stream, points: int, rules: StreamRules) -> str:
    few = f"{points} common displayed losses; at least {rules.least_points} are needed"
    if not len(one.position) or not len(other.position) or points:
        return few
    mine, theirs = (", ".join(map(str, s.position[:3].tolist())) for s in (one, other))
    return f"{few}: one displays batches {mine}..., the other {theirs}...; `display: 1` displays all"
