"""The random halves against the published lists."""

from __future__ import annotations

import pytest

from yosinski.splits import random_half

# The first classes of A in the study's lists for 500 of 1000 classes, by seed.
PUBLISHED = {
    0: [0, 1, 2, 5, 9, 10, 15, 16, 17, 19],
    1: [1, 5, 7, 9, 15, 16, 17, 19, 20, 21],
    2: [0, 2, 4, 5, 8, 9, 10, 13, 15, 17],
    3: [0, 5, 6, 7, 8, 10, 12, 14, 18, 24],
}


@pytest.mark.parametrize("seed", PUBLISHED)
def test_halves_are_the_published_ones(seed: int) -> None:
    a, b = random_half(1000, seed)
    assert a[:10] == PUBLISHED[seed]
    assert len(a) == len(b) == 500
    assert sorted(a + b) == list(range(1000))
    assert b == sorted(b)


def test_odd_number_of_classes() -> None:
    a, b = random_half(7, 0)
    assert (len(a), len(b)) == (3, 4)
