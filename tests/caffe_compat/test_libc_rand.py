"""The C library's rand()."""

from __future__ import annotations

import ctypes
import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_compat.libc_rand import LibcRand


def test_first_numbers_of_glibc() -> None:
    """What a C program on Linux prints that never calls srand()."""
    rand = LibcRand()
    assert [rand.rand() for _ in range(5)] == [1804289383, 846930886, 1681692777, 1714636915, 1957747793]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@given(st.integers(1, 2**31 - 1), st.integers(0, 400))
def test_is_the_one_of_this_machine(seed: int, skip: int) -> None:
    libc, rand = ctypes.CDLL(None), LibcRand(seed)
    libc.srand(seed)
    for _ in range(skip):
        assert libc.rand() == rand.rand()


def test_shuffle() -> None:
    """libstdc++'s random_shuffle: element i changes places with rand() mod (i + 1)."""
    numbers, items = LibcRand(), [0, 1, 2, 3]
    expected = [0, 1, 2, 3]
    for i in (1, 2, 3):
        j = numbers.rand() % (i + 1)
        expected[i], expected[j] = expected[j], expected[i]
    LibcRand().shuffle(items)
    assert items == expected
    assert sorted(items) == [0, 1, 2, 3]
