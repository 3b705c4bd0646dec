"""The C library's ``rand()``, as glibc computes it. Caffe shuffles HDF5 rows with it and never seeds it."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableSequence
from typing import Any


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

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Shuffle in place as libstdc++'s ``std::random_shuffle``."""
        for i in range(1, len(items)):
            j = self.rand() % (i + 1)
            items[i], items[j] = items[j], items[i]


process = LibcRand()  # the one of this process, which all layers share
