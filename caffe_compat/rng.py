"""The random streams CPU Caffe draws from: Boost's distributions over MT19937, equal to Caffe's to the bit.

Each thread, and each ``contextvars.Context`` that seeds one, has a main generator, which fillers, dropout and the seeds
of the data layers share in the order the code runs. Data layers own further ones.
"""

from __future__ import annotations

import os
from collections.abc import MutableSequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from caffe_compat import ziggurat

CHUNK = 1 << 17  # words worked on at a time: the temporaries then stay in the cache
READ_AHEAD = 624  # words drawn at least when the buffer is empty: one turn of the Mersenne Twister

_f32 = np.float32


class Rng:
    """A 32-bit Mersenne Twister, seeded with the low 32 bits of ``seed``, and the distributions Caffe draws from it.

    The methods take as many words from the stream as Caffe does, so that whatever draws next gets the same as there.
    """

    def __init__(self, seed: int) -> None:
        self._twister = np.random.RandomState(seed & 0xFFFFFFFF)
        self._ahead: np.ndarray = np.empty(0, dtype=np.uint32)
        self._used = 0
        self._before = self._twister.get_state(legacy=False)

    def u32(self, n: int) -> np.ndarray:
        """The next ``n`` words of the stream: uint32[n]."""
        words = self._peek(n)
        self._used += n
        return words

    def next_u32(self) -> int:
        """The next word of the stream."""
        return int(self.u32(1)[0])

    def uniform(self, n: int, a: float, b: float) -> np.ndarray:
        """``caffe_rng_uniform``: float32[n] in [a, b]. ``a`` and ``b`` are finite, a <= b."""
        low = _f32(a)
        return self._uniform_real(n, low, np.nextafter(_f32(b), np.finfo(_f32).max))

    def gaussian(self, n: int, mean: float, sigma: float) -> np.ndarray:
        """``caffe_rng_gaussian``: float32[n] with the given mean and standard deviation, by ``ziggurat.normals``."""
        out = np.empty(n, dtype=_f32)
        filled = size = 0
        while filled < n:
            wanted = n - filled
            size = max(size, min(CHUNK, wanted + wanted // 16 + 8))
            values, used = ziggurat.normals(self._peek(size), wanted)
            np.multiply(values, _f32(sigma), out=out[filled : filled + len(values)])
            filled += len(values)
            self._used += used
            size = 0 if used else 2 * size  # only if all these words do not make one draw is nothing used
        out += _f32(mean)
        return out

    def bernoulli(self, n: int, p: float) -> np.ndarray:
        """``caffe_rng_bernoulli`` with a double ``p`` in [0, 1], as Dropout draws: bool[n]. p = 0 takes no words."""
        # An integer is <= the product iff it is <= the product's floor.
        return self._at_most(n, np.uint32(p * (2.0**32 - 1))) if p else np.zeros(n, dtype=bool)

    def bernoulli_float(self, n: int, p: float) -> np.ndarray:
        """``caffe_rng_bernoulli`` with a float ``p``, as the sparse gaussian filler draws: the same otherwise."""
        return self._at_most(n, _f32(p) * _f32(2.0**32)) if p else np.zeros(n, dtype=bool)

    def uniform_int(self, k: int) -> int:
        """``boost::uniform_int(0, k)``, 0 <= k < 2^32. k = 0 takes no words."""
        if k == 0:
            return 0
        bucket, rest = divmod(2**32 - 1, k + 1)
        bucket += rest == k
        while True:
            value = self.next_u32() // bucket
            if value <= k:
                return value

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """``caffe::shuffle``, in place: Fisher-Yates from the back."""
        for i in range(len(items) - 1, 0, -1):
            j = self.uniform_int(i)
            items[i], items[j] = items[j], items[i]

    def get_state(self) -> np.ndarray:
        """The place in the stream: uint32[625], the twister's 624 words and the position in them.

        Words read ahead but not yet used lie after this place, so no more than this is needed to resume exactly.
        """
        self._discard_ahead()
        place = self._before["state"]
        return np.append(place["key"], place["pos"]).astype(np.uint32)

    def set_state(self, state: np.ndarray) -> None:
        """Go to the place in a stream that ``get_state`` gave. ValueError if the array cannot be one."""
        if state.shape != (625,) or state.dtype != np.uint32 or state[-1] > 624:
            raise ValueError(f"not the state of a Mersenne Twister: {state.dtype}{list(state.shape)}")
        self._ahead = self._ahead[: self._used]
        self._twister.set_state(("MT19937", state[:-1], int(state[-1]), 0, 0.0))
        self._discard_ahead()

    def _uniform_real(self, n: int, low: np.float32, high: np.float32) -> np.ndarray:
        """``boost::uniform_real_distribution<float>(low, high)``: float32[n] in [low, high)."""
        two = _f32(2)
        if high / two - low / two > np.finfo(_f32).max / two:  # high - low would overflow
            return two * self._uniform_real(n, low / two, high / two)
        out = np.empty(n, dtype=_f32)
        filled = 0
        while filled < n:
            values = self.u32(min(CHUNK, n - filled)).astype(_f32)
            values *= _f32(2.0**-32)
            values *= high - low
            values += low
            inside = values < high
            if not inside.all():  # by rounding, in rare cases
                values = values[inside]
            out[filled : filled + len(values)] = values
            filled += len(values)
        return out

    def _at_most(self, n: int, threshold: np.uint32 | np.float32) -> np.ndarray:
        """Which of the next ``n`` words, in the threshold's type, are at most the threshold: bool[n]."""
        out = np.empty(n, dtype=bool)
        for start in range(0, n, CHUNK):
            block = out[start : start + CHUNK]
            np.less_equal(self.u32(len(block)).astype(threshold.dtype, copy=False), threshold, out=block)
        return out

    def _peek(self, n: int) -> np.ndarray:
        """The next ``n`` words, without taking them: whoever takes k of them adds k to ``_used``."""
        if len(self._ahead) - self._used < n:
            self._discard_ahead()
            self._ahead = self._twister.randint(2**32, size=max(n, READ_AHEAD), dtype=np.uint32)
        return self._ahead[self._used : self._used + n]

    def _discard_ahead(self) -> None:
        """Turn the twister back to the first word that is not used yet."""
        if self._used < len(self._ahead):
            self._twister.set_state(self._before)
            self._twister.randint(2**32, size=self._used, dtype=np.uint32)
        self._ahead = self._ahead[:0]
        self._used = 0
        self._before = self._twister.get_state(legacy=False)


_main: ContextVar[Rng] = ContextVar("main")
_data: ContextVar[Rng | None] = ContextVar("data", default=None)


def set_random_seed(seed: int) -> None:
    """``Caffe::set_random_seed``: a fresh main generator for the calling thread, seeded with the low 32 bits.

    As there it seeds the GPUs' generators, too, from which Dropout draws there: torch's, as Caffe seeds cuRAND's.
    """
    import torch

    _main.set(Rng(seed))
    torch.cuda.manual_seed_all(seed & 0xFFFFFFFF)  # where there is none yet, once there is


def set_data_seed(seed: int | None) -> None:
    """From now on data layers are seeded from a generator of this seed; None: from the main one, as in Caffe."""
    _data.set(None if seed is None else Rng(seed))


def main() -> Rng:
    """The main generator of the calling thread. Unless it was seeded, its seed comes from the system's entropy."""
    found = _main.get(None)
    if found is None:
        found = Rng(int.from_bytes(os.urandom(4), "little"))
        _main.set(found)
    return found


def rng_next_u32() -> int:
    """``caffe_rng_rand``: the next word of the calling thread's main generator."""
    return main().next_u32()


def next_data_seed() -> int:
    """The seed of a data layer's generator: the main generator's next word, or the data seed's, and then that is lost.

    So with and without a data seed fillers and dropout get the same numbers.
    """
    word, data = main().next_u32(), _data.get()
    return data.next_u32() if data else word
