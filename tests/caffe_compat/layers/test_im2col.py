"""Im2col of a kernel that is larger than the bottom, or not spread at all; its own numbers are in test_golden.py."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.errors import CaffeError

from .by_hand import backward, one_layer


def test_a_window_over_the_edge_finds_zeros() -> None:
    """(2 - 3) / 2 + 1 is 1 in C: one window from the corner, its third row and column beyond the bottom."""
    layer = 'type: "Im2col" bottom: "x" top: "y" convolution_param { kernel_size: 3 stride: 2 }'
    net = one_layer(layer, x=[[[[1, 2], [3, 4]]]])
    assert net.blobs["y"].shape == (1, 9, 1, 1)
    assert net.blobs["y"].data.ravel().tolist() == [1, 2, 0, 3, 4, 0, 0, 0, 0]
    backward(net, y=[[[[i]] for i in range(9)]])
    assert net.blobs["x"].diff.ravel().tolist() == [0, 1, 3, 4]


def test_a_dilation_of_0_repeats_a_pixel() -> None:
    layer = 'type: "Im2col" bottom: "x" top: "y" convolution_param { kernel_size: 2 stride: 2 dilation: 0 dilation: 1 }'
    net = one_layer(layer, x=[[[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]]])
    assert net.blobs["y"].data.tolist() == [[[[1, 3], [9, 11]], [[2, 4], [10, 12]]] * 2]
    backward(net, y=np.arange(16).reshape(1, 4, 2, 2))
    assert net.blobs["x"].diff.tolist() == [[[[8, 16, 10, 18], [0] * 4, [12, 20, 14, 22]]]]


def test_no_window_has_a_place() -> None:
    with pytest.raises(CaffeError, match=r"layer 'L': kernel \[3, 3\] is larger than the padded bottom"):
        one_layer('type: "Im2col" bottom: "x" top: "y" convolution_param { kernel_size: 3 }', x=[[[[1, 2], [3, 4]]]])
