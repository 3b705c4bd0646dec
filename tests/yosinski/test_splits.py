"""Halves and database orders against the published ones."""

from __future__ import annotations

import pytest

from caffe_compat.errors import CaffeError
from yosinski.splits import database_order, random_half, split_classes

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
    assert split_classes(str(seed)) == (a, b)


def test_odd_number_of_classes() -> None:
    a, b = random_half(7, 0)
    assert (len(a), len(b)) == (3, 4)


def test_natural_and_manmade() -> None:
    natural, manmade = split_classes("natman")
    assert (len(natural), len(manmade)) == (449, 551)
    assert sorted(natural + manmade) == list(range(1000))
    assert natural == sorted(natural) and manmade == sorted(manmade)
    assert 207 in natural and 817 in manmade, "golden retriever, sports car"
    with pytest.raises(CaffeError, match="split natman: 10 classes"):
        split_classes("natman", 10)


# Of convert_imageset with the random_shuffle and rand() of GNU's C++ and C libraries: list length, first lines, last.
FIRST = [16525, 1190, 3593, 7550, 17576, 20238, 18448, 19822, 164, 7916]
ORDERS = {
    10: ([4, 3, 7, 8, 0, 5, 2, 1, 6, 9], 9),
    22450: (FIRST, None),
    25000: (FIRST, 12392),
    27550: ([16525, 25719, 3593, 26432, 26093, 26757, 18448, 19822, 27115, 26672], None),
    50000: ([44157, 25719, 3593, 30601, 45828, 26757, 18448, 28888, 27115, 32647], None),
}


@pytest.mark.parametrize("count", ORDERS)
def test_order_of_2014(count: int) -> None:
    first, last = ORDERS[count]
    order = database_order(count, "2014")
    assert order[:10] == first and last in (order[-1], None)
    assert sorted(order) == list(range(count))


def test_other_orders() -> None:
    assert database_order(4, "list") == [0, 1, 2, 3]
    assert database_order(99, "caffe", 5) == database_order(99, "caffe", 5) != database_order(99, "caffe", 6)
