"""The vectorised ziggurat against a scalar one, draw by draw, and its tables against Boost's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_compat import ziggurat

f32 = np.float32


def test_tables_are_those_of_boost(golden: Path) -> None:
    boost = np.load(golden / "rng" / "ziggurat_tables.npz", allow_pickle=False)
    normal, exponential = ziggurat.normal_tables(), ziggurat.exponential_tables()
    for name, values in (
        ("normal_x", normal.x),
        ("normal_y", normal.y),
        ("exp_x", exponential.x),
        ("exp_y", exponential.y),
    ):
        np.testing.assert_array_equal(values, boost[name], strict=True)


class Scalar:
    """Boost's two ziggurats, one draw at a time, written from their definitions. IndexError when the words run out."""

    def __init__(self, words: np.ndarray) -> None:
        self.words, self.at = words.tolist(), 0
        self.x, self.y = (column.tolist() for column in ziggurat.normal_tables())
        self.ex, self.ey = (column.tolist() for column in ziggurat.exponential_tables())

    def draws(self) -> Iterator[tuple[np.float32, int]]:
        """Normals, each with the position after its last word."""
        while True:
            try:
                value = self.normal()
            except IndexError:
                return
            yield value, self.at

    def word(self) -> int:
        self.at += 1
        return self.words[self.at - 1]

    def uniform01(self) -> np.float32:
        while True:
            value = f32(f32(self.word()) / f32(2**32))
            if value < 1:
                return value

    def normal(self) -> np.float32:
        while True:
            w = self.word()
            sign, i = f32(1 if w & 1 else -1), (w & 255) >> 1
            top, base = f32(self.x[i]), f32(self.y[i])
            x = f32(f32(f32(w >> 8) / f32(2**24)) * top)
            if float(x) < self.x[i + 1]:
                return x * sign
            if i == 0:
                return self.tail() * sign
            y01 = self.uniform01()
            y = base + y01 * f32(self.y[i + 1] - self.y[i])
            chord = f32(self.x[i] - self.x[i + 1]) * y01 - (top - x)
            tangent = y - (base + (top - x) * base * top)
            upper, lower = (chord, tangent) if self.x[i] >= 1 else (tangent, chord)
            if upper < 0 and (lower < 0 or y < f32(math.exp(-float(x * x / f32(2))))):
                return x * sign

    def tail(self) -> np.float32:
        r = f32(self.x[1])
        while True:
            x = self.exponential() / r
            y = self.exponential()
            if f32(2) * y > x * x:
                return x + r

    def exponential(self) -> np.float32:
        shift = f32(0)
        while True:
            w = self.word()
            i = w & 255
            top, following = f32(self.ex[i]), f32(self.ex[i + 1])
            x = f32(f32(w >> 8) / f32(2**24)) * top
            if x < following:
                return shift + x
            if i == 0:
                shift = shift + f32(self.ex[1])
                continue
            y01 = self.uniform01()
            base, above = f32(self.ey[i]), f32(self.ey[i + 1])
            y = base + y01 * f32(self.ey[i + 1] - self.ey[i])
            upper = f32(self.ex[i] - self.ex[i + 1]) * y01 - (top - x)
            lower = y - (above + (following - x) * above)
            if upper < 0 and (lower < 0 or y < f32(math.exp(-float(x)))):
                return shift + x


def words_of(seed: int, n: int, rare: float) -> np.ndarray:
    """``n`` words, of which the part ``rare`` leaves the fast path: edges, tails, uniforms that round to 1."""
    source = np.random.default_rng(seed)
    words = source.integers(2**32, size=n, dtype=np.uint32)
    edge = words | np.uint32(0xFF000000)
    tail = edge & np.uint32(0xFFFFFF01)
    one = words | np.uint32(0xFFFFFF80)
    kind = np.where(source.random(n) < rare, source.integers(1, 4, size=n), 0)
    return np.choose(kind, [words, edge, tail, one])


def check(words: np.ndarray, limit: int) -> None:
    values, used = ziggurat.normals(words, limit)
    expected = list(itertools.islice(Scalar(words).draws(), limit))
    np.testing.assert_array_equal(values.view(np.uint32), np.array([v for v, _ in expected], f32).view(np.uint32))
    assert values.dtype == f32
    if len(values) == limit:
        assert used == expected[-1][1]
    else:
        assert (expected[-1][1] if expected else 0) <= used <= len(words)
        assert not list(Scalar(words[used:]).draws())


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([0, 0.1, 0.5, 0.9]), st.integers(1, 40))
@settings(deadline=None, max_examples=300)
def test_few_words_of_every_kind(seed: int, n: int, rare: float, limit: int) -> None:
    check(words_of(seed, n, rare), limit)


def test_many_plain_words() -> None:
    check(words_of(3, 60_000, 0), 60_000)


def test_many_rare_words() -> None:
    check(words_of(4, 20_000, 0.4), 5_000)
    check(words_of(5, 20_000, 0.4), 20_000)


def test_values_on_the_inner_edge_of_each_strip() -> None:
    """Words whose x is the strip's inner edge rounded, or a step beside it, where single and double would differ."""
    x = ziggurat.normal_tables().x
    words = []
    for strip in range(128):
        edge = round(x[strip + 1] / float(f32(x[strip])) * 2**24)
        for k in range(max(edge - 2, 0), min(edge + 3, 2**24)):
            words += [k << 8 | strip << 1, 0]
    check(np.array(words, dtype=np.uint32), len(words))


def least(passes: Callable[[int], bool], high: int) -> int:
    """The smallest number below ``high`` that passes, by bisection; ``high`` if none does."""
    low = 0
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle + 1, high)
    return low


def test_heights_on_the_curve_in_each_strip() -> None:
    """Second words that put the point on the curve or a step beside it, all over the wedge."""
    words = []
    x = ziggurat.normal_tables().x
    for strip in range(1, 128):
        inner = x[strip + 1] / float(f32(x[strip])) * 2**24
        for part in (0.001, 0.1, 0.5, 0.9, 0.999):
            word = int(inner + part * (2**24 - inner)) << 8 | strip << 1

            def rejected(k: int, word: int = word) -> bool:
                return not list(Scalar(np.array([word, k << 8])).draws())

            edge = least(rejected, 2**24)
            for k in range(max(edge - 3, 0), min(edge + 4, 2**24)):
                words += [word, k << 8]
    check(np.array(words, dtype=np.uint32), len(words))


def test_exponential_strips() -> None:
    """Tails whose first exponential is at the inner edge of a strip, or in a strip's wedge on the curve."""
    tail, x = 2**32 - 255, ziggurat.exponential_tables().x
    random = words_of(6, 40, 0).tolist()
    for strip in range(256):
        inner = x[strip + 1] / float(f32(x[strip])) * 2**24
        for k in range(max(round(inner) - 2, 0), min(round(inner) + 3, 2**24)):
            check(np.array([tail, k << 8 | strip, *random], dtype=np.uint32), 1)
        word = int(inner + 0.5 * (2**24 - inner)) << 8 | strip

        def rejected(k: int, word: int = word) -> bool:
            try:
                Scalar(np.array([word, k << 8])).exponential()
            except IndexError:
                return True
            return False

        edge = least(rejected, 2**24)
        for k in range(max(edge - 2, 0), min(edge + 3, 2**24)):
            check(np.array([tail, word, k << 8, *random], dtype=np.uint32), 1)
