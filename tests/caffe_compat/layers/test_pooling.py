"""Pooling's windows, of any size and place, against Caffe's loops; its own numbers are in test_golden.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

LOWEST = -float(np.finfo(np.float32).max)

# Bottom, kernel, stride, pad, method: with torch's own padding, and where that has other windows than Caffe.
WINDOWS = {
    "exact": ((2, 3, 7, 7), (3, 3), (2, 2), (0, 0), ""),
    "over_the_edge": ((2, 3, 6, 8), (3, 3), (2, 2), (0, 0), ""),
    "padded": ((2, 16, 5, 7), (3, 2), (2, 1), (1, 1), ""),
    "padded_by_more_than_half": ((1, 3, 4, 5), (3, 4), (2, 2), (2, 3), ""),
    "beyond_the_bottom": ((2, 2, 5, 4), (2, 1), (4, 5), (0, 0), ""),
    "ends_in_the_padding": ((1, 2, 4, 4), (2, 2), (3, 3), (1, 1), ""),
    "floor": ((2, 3, 6, 8), (3, 3), (2, 2), (0, 1), "round_mode: FLOOR"),
    "padded_across_only": ((1, 2, 2, 3), (1, 4), (4, 1), (0, 2), ""),
    "padded_down_only": ((1, 2, 2, 2), (3, 1), (1, 3), (2, 0), "pool: AVE"),
    "one_pixel": ((3, 4, 1, 1), (1, 1), (1, 1), (0, 0), ""),
    "one_channel": ((2, 1, 6, 5), (2, 3), (2, 2), (0, 1), ""),
    "average": ((2, 3, 6, 8), (3, 3), (2, 2), (1, 0), "pool: AVE"),
    "average_over_the_edge": ((2, 16, 6, 8), (3, 3), (2, 2), (0, 0), "pool: AVE"),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["first", "last"])
@pytest.mark.parametrize("case", WINDOWS)
def test_windows(case: str, layout: torch.memory_format) -> None:
    shape, kernel, stride, pad, fields = WINDOWS[case]
    average = "AVE" in fields
    second = "" if average else 'top: "mask"'
    fields += "".join(f" kernel_{a}: {k} stride_{a}: {s} pad_{a}: {p}" for a, k, s, p in zip("hw", kernel, stride, pad))
    definition = (
        f'force_backward: true layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ '
        f'{"".join(f"dim: {size} " for size in shape)} }} }} }} layer {{ name: "p" type: "Pooling" bottom: "x" '
        f'top: "y" {second} pooling_param {{ {fields} }} }}'
    )
    net = Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TEST)
    draw = np.random.default_rng(0)
    x = draw.integers(-3, 3, size=shape).astype(np.float32)  # with ties, of which the first wins
    net.blobs["x"].tensor = torch.from_numpy(x).contiguous(memory_format=layout)
    net.forward_layers()
    diff = draw.normal(size=net.blobs["y"].shape).astype(np.float32)
    net.blobs["y"].grad = torch.from_numpy(diff).contiguous(memory_format=layout)
    net.backward_layers()

    assert net.blobs["y"].shape[2:] == _sides(
        shape[2:], kernel, stride, pad, np.floor if "FLOOR" in fields else np.ceil
    )
    y, mask, gradient = _caffe(x, diff, kernel, stride, pad, average)
    np.testing.assert_allclose(net.blobs["y"].data, y, rtol=1e-6)
    np.testing.assert_allclose(net.blobs["x"].diff, gradient, rtol=1e-5, atol=1e-6)
    if not average:
        np.testing.assert_array_equal(net.blobs["mask"].data, mask)


def _sides(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], pad: tuple[int, ...], rounded: Any
) -> tuple[int, ...]:
    """Height and width of the top, by pooling_layer.cpp: padding of either axis has both clipped."""
    sides = [int(rounded((n + 2 * p - k) / s)) + 1 for n, k, s, p in zip(size, kernel, stride, pad)]
    if any(pad):
        sides = [o - ((o - 1) * s >= n + p) for o, n, s, p in zip(sides, size, stride, pad)]
    return tuple(sides)


def _caffe(
    x: np.ndarray,
    diff: np.ndarray,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...],
    average: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Top, mask and the bottom's gradient, by pooling_layer.cpp."""
    height, width = x.shape[2:]
    y, mask, gradient = np.full(diff.shape, LOWEST), np.full(diff.shape, -1.0), np.zeros(x.shape)
    for n, c, i, j in np.ndindex(diff.shape):
        top, left = i * stride[0] - pad[0], j * stride[1] - pad[1]
        bottom, right = min(top + kernel[0], height + pad[0]), min(left + kernel[1], width + pad[1])
        area = (bottom - top) * (right - left)
        rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
        window = x[n, c, rows, columns]
        if average:
            y[n, c, i, j] = window.sum() / area
            gradient[n, c, rows, columns] += diff[n, c, i, j] / area
        elif window.size:
            row, column = np.unravel_index(window.argmax(), window.shape)
            y[n, c, i, j], place = window.max(), (rows.start + row, columns.start + column)
            mask[n, c, i, j] = place[0] * width + place[1]
            gradient[(n, c, *place)] += diff[n, c, i, j]
    return y, mask, gradient
