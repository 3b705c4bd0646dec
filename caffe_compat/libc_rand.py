"""The C library's ``rand()``, as glibc computes it. Caffe shuffles HDF5 rows with it and never seeds it."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableSequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LibcRand:
    """glibc's additive feedback generator: r[i] = r[i-3] + r[i-31] mod 2^32, of which rand() gives the upper 31 bits.

    The first 34 values come from Park and Miller's generator; the next 310 are thrown away (glibc, random_r.c).
    """

    def __init__(self, seed: int = 1) -> None:
        """``seed``: as for srand(); a program that never calls it has 1."""
        state = [seed]
        for _ in range(30):
            state.append(16807 * state[-1] % 2147483647)
        self._last = deque(state + state[:3], maxlen=31)
        for _ in range(310):
            self.rand()

    def rand(self) -> int:
        """The next number, 0 to 2^31 - 1."""
        value = (self._last[-3] + self._last[0]) & 0xFFFFFFFF
        self._last.append(value)
        return value >> 1

    def get_state(self) -> list[int]:
        """The 31 numbers that the next ones follow from."""
        return list(self._last)

    def set_state(self, state: list[int]) -> None:
        """Go on from what ``get_state`` gave."""
        self._last = deque(state, maxlen=31)

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Shuffle in place as libstdc++'s ``std::random_shuffle``."""
        for i in range(1, len(items)):
            j = self.rand() % (i + 1)
            items[i], items[j] = items[j], items[i]


_common = LibcRand()
_process: ContextVar[LibcRand] = ContextVar("rand", default=_common)


def process() -> LibcRand:
    """The one of this process, which all layers share; of nets that train together each has its own."""
    return _process.get()


def begin_anew() -> None:
    """Let the current ``contextvars.Context`` have one of its own, at the beginning."""
    _process.set(LibcRand())


class RandShare:
    """One layer's part of an unseeded ``rand()``: numbers set aside when it is built, then those of all.

    In 2014 a layer fetched its first batch while the nets were being built, so its draws come before those of any layer
    behind it.
    """

    def __init__(self, common: LibcRand, aside: int) -> None:
        self._common = common
        self._aside = deque(common.rand() for _ in range(aside))
        self._shares = False  # whether it has drawn from what is common

    def next_u32(self) -> int:
        if self._aside:
            return self._aside.popleft()
        self._shares = True
        return self._common.rand()

    def u32(self, n: int) -> NDArray[np.uint32]:
        """The next ``n`` numbers."""
        return np.array([self.next_u32() for _ in range(n)], np.uint32)

    def get_state(self) -> NDArray[np.uint32]:
        """What is left of its part and, if that is nothing any more, what is common, for ``set_state``."""
        common = self._common.get_state() if self._shares else []
        return np.array([len(self._aside), *self._aside, *common], np.uint32)

    def set_state(self, state: NDArray[np.uint32]) -> None:
        """Go on from a state, which leaves alone what is common unless it holds that; ValueError if it is none."""
        values = np.asarray(state).astype(np.uint32).tolist()
        if len(values) < 1 or len(values) - 1 - values[0] not in (0, 31):
            raise ValueError("not a state of an unseeded rand()")
        self._aside, common = deque(values[1 : 1 + values[0]]), values[1 + values[0] :]
        self._shares = bool(common)
        if common:
            self._common.set_state(common)
