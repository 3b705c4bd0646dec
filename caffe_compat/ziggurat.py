"""Normal variates by Boost's ziggurat, drawn for a whole array of raw words at once.

Caffe's gaussians come from ``boost::normal_distribution<float>`` (Boost 1.56 and later): 128 strips for the normal
density, and 256 for the exponential one that serves its tail. Both follow Marsaglia and Tsang, *The Ziggurat Method for
Generating Random Variables* (2000). Every operation here rounds to single precision where the C++ code does, so the
values are Boost's to the bit; only the one comparison with the strip's inner edge is made in double precision there.

A draw takes a varying number of words, which is what makes an array of them hard. But whether a word would end a draw
at once, if a draw began at it, depends on this word alone, and all but a few in a hundred do. So all words are tried as
beginnings together, and a walk over the few alone finds out which of them really begin a draw.
"""

from __future__ import annotations

import functools
import math
from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np

# r is where 128 strips of equal area V, the lowest with the tail beyond r, just fill exp(-x^2/2); the same for exp(-x)
# and 256 strips, where V = (r + 1) exp(-r). More digits than a double has: the recurrence loses some at every strip.
NORMAL_R = Decimal("3.4426198558966521214243204914673397043375973858509")
NORMAL_V = Decimal("0.0099125630353364610790956853058101621973797012828879")
EXPONENTIAL_R = Decimal("7.6971174701310497140446280480152154991139686400553")

# From here on a word becomes 1.0 when it is rounded to single precision and divided by 2^32.
ROUNDS_TO_ONE = np.uint32(2**32 - 128)

_f32 = np.float32


class Tables(NamedTuple):
    """Strip corners: ``x[i]`` falls from the base strip's width to 0, ``y[i]`` is the density there. Float64."""

    x: np.ndarray
    y: np.ndarray


@functools.cache
def normal_tables() -> Tables:
    """Corners of the 128 strips under exp(-x^2/2): two float64[129].

    A double-precision recurrence would be off in the last digits, so it runs with 45.
    """
    with localcontext() as context:
        context.prec = 45
        x = [NORMAL_V / (-NORMAL_R * NORMAL_R / 2).exp(), NORMAL_R]
        y = [Decimal(0), (-NORMAL_R * NORMAL_R / 2).exp()]
        for _ in range(126):
            y.append(NORMAL_V / x[-1] + y[-1])
            x.append((-2 * y[-1].ln()).sqrt())
        return Tables(np.array([*x, 0], dtype=np.float64), np.array([*y, 1], dtype=np.float64))


@functools.cache
def exponential_tables() -> Tables:
    """Corners of the 256 strips under exp(-x): two float64[257]."""
    with localcontext() as context:
        context.prec = 45
        area = (EXPONENTIAL_R + 1) * (-EXPONENTIAL_R).exp()
        x = [area / (-EXPONENTIAL_R).exp(), EXPONENTIAL_R]
        y = [Decimal(0), (-EXPONENTIAL_R).exp()]
        for _ in range(254):
            y.append(area / x[-1] + y[-1])
            x.append(-y[-1].ln())
        return Tables(np.array([*x, 0], dtype=np.float64), np.array([*y, 1], dtype=np.float64))


class _Strips(NamedTuple):
    """What a wedge test needs of a strip, each step rounded as in Boost. Float32, one entry a strip."""

    x: np.ndarray
    width: np.ndarray  # x[i] - x[i+1], in double, then rounded
    y: np.ndarray
    height: np.ndarray  # y[i+1] - y[i], likewise


def _strips(tables: Tables) -> _Strips:
    return _Strips(
        tables.x.astype(_f32), (-np.diff(tables.x)).astype(_f32), tables.y.astype(_f32), np.diff(tables.y).astype(_f32)
    )


class _FastPath(NamedTuple):
    """Two float32[256] indexed by a word's low byte: bit 0 the sign (odd is plus), bits 1 to 7 the strip."""

    scale: np.ndarray  # x[strip] * 2^-24 with the sign: times the word's upper 24 bits it is the variate
    inner: np.ndarray  # the variate is in the strip's inner rectangle if its magnitude is below this


@functools.cache
def _fast_path() -> _FastPath:
    x = normal_tables().x
    scale = np.repeat(x[:-1].astype(_f32) * _f32(2.0**-24), 2)
    scale[::2] *= -1
    # Boost compares double(x) < X[i+1]. As x is a float, that is x < the smallest float no less than X[i+1].
    inner = x[1:].astype(_f32)
    inner = np.where(inner < x[1:], np.nextafter(inner, _f32(np.inf)), inner)
    return _FastPath(scale, np.repeat(inner, 2))


def normals(words: np.ndarray, limit: int) -> tuple[np.ndarray, int]:
    """Draw up to ``limit`` unit normals from the head of ``words`` (uint32, at least one, ``limit`` > 0).

    Returns the variates (float32, fewer than ``limit`` if the words give no more) and how many words are used up. An
    attempt at a draw that would need words beyond the end is left out, with its words; it may well be the first.
    """
    fast = _fast_path()
    strip = words.astype(np.uint8)
    x = (words >> 8).astype(_f32)
    x *= fast.scale.take(strip)
    ends_draw = np.abs(x) < fast.inner.take(strip)

    outside = np.flatnonzero(~ends_draw)
    uniform_at = _first_uniform(words, outside + 1)
    in_wedge = _in_wedge(strip[outside] >> 1, np.abs(x[outside]), words.take(uniform_at, mode="clip"))
    end = uniform_at + 1
    is_tail = strip[outside] < 2
    begins: list[int] = []  # those of the words outside that really begin a draw
    free, stop = 0, len(words)
    for k, (at, after, tail) in enumerate(zip(outside.tolist(), end.tolist(), is_tail.tolist(), strict=True)):
        if at < free:  # used up by the draw before
            continue
        if tail:
            try:
                value, after = _tail(words, at + 1)
            except IndexError:
                stop = at
                break
            x[at], end[k], in_wedge[k] = np.copysign(value, x[at]), after, True
        elif after > len(words):
            stop = at
            break
        if after > at + 2:
            ends_draw[at + 1 : after] = False
        begins.append(k)
        free = after
    begun, end = outside[begins], end[begins]
    ends_draw[begun] = in_wedge[begins]  # outside the wedge too: the draw begins anew with the next free word
    ends_draw[begun + 1] = False

    values = x[:stop][ends_draw[:stop]]
    if len(values) < limit:
        return values, stop
    last = int(np.flatnonzero(ends_draw)[limit - 1])
    k = int(np.searchsorted(begun, last))
    return values[:limit], int(end[k]) if k < len(begun) and begun[k] == last else last + 1


def _first_uniform(words: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Positions of the first words from ``at`` on that give a uniform below 1. Boost draws again at 1."""
    while True:
        is_one = (at < len(words)) & (words.take(at, mode="clip") >= ROUNDS_TO_ONE)
        if not is_one.any():
            return at
        at = at + is_one


@functools.cache
def _normal_strips() -> _Strips:
    return _strips(normal_tables())


def _in_wedge(i: np.ndarray, x: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Whether points at ``x`` in the strips ``i``, at heights drawn from ``words``, lie under exp(-x^2/2).

    Chord and tangent of the curve in the strip settle most cases. The density is concave below x = 1 and convex above,
    so they change roles there. glibc's ``expf`` errs by at most 0.502 ulp, so it is all but always the correctly
    rounded value computed here; where it is not, ``y`` would have to lie between the two for it to show.
    """
    corner_x, width, corner_y, height = (column[i] for column in _normal_strips())
    y01 = words.astype(_f32) * _f32(2.0**-32)
    y = corner_y + y01 * height
    from_corner = corner_x - x
    above_chord = width * y01 - from_corner
    above_tangent = y - (corner_y + from_corner * corner_y * corner_x)
    convex = normal_tables().x[i] >= 1
    above_upper = np.where(convex, above_chord, above_tangent)
    above_lower = np.where(convex, above_tangent, above_chord)
    density = np.exp(-(x * x / _f32(2)).astype(np.float64)).astype(_f32)
    return (above_upper < 0) & ((above_lower < 0) | (y < density))


@functools.cache
def _exponential_strips() -> tuple[list[np.float32], ...]:
    """The exponential's strips as lists of float32 scalars, quicker than arrays for one look-up."""
    return tuple(list(column) for column in _strips(exponential_tables()))


def _tail(words: np.ndarray, at: int) -> tuple[np.float32, int]:
    """A normal beyond r from the words at ``at``, and the position after them. IndexError if the words run out.

    x = r + e1/r is kept if 2 e2 > (e1/r)^2 (Marsaglia 1964).
    """
    r = _normal_strips().x[1]
    while True:
        e1, at = _exponential(words, at)
        e2, at = _exponential(words, at)
        x = e1 / r
        if _f32(2) * e2 > x * x:
            return x + r, at


def _exponential(words: np.ndarray, at: int) -> tuple[np.float32, int]:
    """A unit exponential. Its tail is the whole distribution again, shifted by r."""
    corner_x, width, corner_y, height = _exponential_strips()
    shift = _f32(0)
    while True:
        word = int(words[at])
        at += 1
        i = word & 255
        x = _f32((word >> 8) * 2.0**-24) * corner_x[i]
        if x < corner_x[i + 1]:  # in single precision, unlike the normal's
            return shift + x, at
        if i == 0:
            shift = shift + corner_x[1]
            continue
        while words[at] >= ROUNDS_TO_ONE:
            at += 1
        y01 = _f32(words[at]) * _f32(2.0**-32)
        at += 1
        y = corner_y[i] + y01 * height[i]
        above_chord = width[i] * y01 - (corner_x[i] - x)
        above_tangent = y - (corner_y[i + 1] + (corner_x[i + 1] - x) * corner_y[i + 1])
        if above_chord < 0 and (above_tangent < 0 or y < _f32(math.exp(-float(x)))):
            return x + shift, at
