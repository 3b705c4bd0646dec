"""Slice's ends; its own numbers are in test_golden.py."""

from __future__ import annotations

import pytest

from caffe_compat.errors import CaffeError

from .by_hand import backward, one_layer


def slices(tops: int, *points: int) -> str:
    names = "".join(f'top: "y{i}" ' for i in range(tops))
    fields = "".join(f"slice_point: {point} " for point in points)
    return f'type: "Slice" bottom: "x" {names} slice_param {{ {fields} }}'


def test_the_last_part_may_be_empty() -> None:
    net = one_layer(slices(3, 1, 3), x=[[1, 2, 3], [4, 5, 6]])
    assert [net.blobs[f"y{i}"].data.tolist() for i in range(3)] == [[[1], [4]], [[2, 3], [5, 6]], [[], []]]
    backward(net, y0=[[7], [8]], y1=[[9, 10], [11, 12]])
    assert net.blobs["x"].diff.tolist() == [[7, 9, 10], [8, 11, 12]]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (slices(2, 0), "slice_point: [0], expected 1 rising values from 1 to 3 for 2 tops"),
        (slices(2, 4), "slice_point: [4], expected 1 rising values from 1 to 3 for 2 tops"),
        (slices(3, 2, 2), "slice_point: [2, 2], expected 2 rising values from 1 to 3 for 3 tops"),
        (slices(3, 2), "slice_point: [2], expected 2 rising values from 1 to 3 for 3 tops"),
        (slices(4, 1, 2, 3), "slice_point: [1, 2, 3], but axis 1 of size 3 cannot be cut into 4 parts"),
        (slices(2), "axis 1 of size 3 cannot be cut into 2 equal parts"),
    ],
)
def test_refused(layer: str, words: str) -> None:
    with pytest.raises(CaffeError) as caught:
        one_layer(layer, x=[[1, 2, 3]])
    assert str(caught.value) == f"layer 'L': {words}"
