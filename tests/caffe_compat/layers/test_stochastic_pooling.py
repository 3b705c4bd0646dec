"""STOCHASTIC pooling against the loops of Caffe's GPU kernels (pooling_layer.cu); there is no such layer on its CPU."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from caffe_compat import rng
from caffe_compat.errors import CaffeError
from caffe_compat.export.onnx_export import to_onnx

from .by_hand import backward, one_layer

Index = tuple[int, int, int, int]

# Bottom, kernel, stride, further fields.
WINDOWS = {
    "apart": ((2, 3, 6, 4), (2, 2), (2, 2), ""),
    "overlapping": ((2, 3, 7, 9), (3, 2), (1, 1), ""),
    "over_the_edge": ((1, 2, 6, 8), (3, 3), (2, 2), ""),
    "something_left_over": ((1, 2, 6, 8), (3, 3), (2, 2), "round_mode: FLOOR"),
    "beyond_the_bottom": ((2, 2, 5, 4), (2, 1), (4, 5), ""),
    "global": ((3, 2, 4, 5), (4, 5), (1, 1), "global_pooling: true"),
}


def layer(kernel: tuple[int, int], stride: tuple[int, int], fields: str) -> str:
    if "global" not in fields:
        fields += f" kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride_h: {stride[0]} stride_w: {stride[1]}"
    return f'type: "Pooling" bottom: "x" top: "y" pooling_param {{ pool: STOCHASTIC {fields} }}'


def windows(
    top: np.ndarray, x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int]
) -> Iterator[tuple[Index, list[Index]]]:
    """For each place of the top: its index, and those of the window's pixels, row by row."""
    for n, c, i, j in np.ndindex(top.shape):
        rows = range(i * stride[0], min(i * stride[0] + kernel[0], x.shape[2]))
        columns = range(j * stride[1], min(j * stride[1] + kernel[1], x.shape[3]))
        yield (n, c, i, j), [(n, c, row, column) for row in rows for column in columns]


@pytest.mark.parametrize("case", WINDOWS)
def test_training(case: str) -> None:
    shape, kernel, stride, fields = WINDOWS[case]
    draw = np.random.default_rng(0)
    x = np.maximum(draw.normal(size=shape), 0).astype(np.float32)  # as a ReLU leaves them
    x[0, 0] = 0  # of a window of zeros the first pixel is drawn
    rng.set_random_seed(3)
    net = one_layer(layer(kernel, stride, fields), x=x)
    top = net.blobs["y"].data
    diff = draw.normal(size=top.shape).astype(np.float32)
    backward(net, y=diff)

    uniform = rng.Rng(3).uniform(top.size, 0, 1).reshape(top.shape)
    want, gradient = np.zeros(top.shape, np.float32), np.zeros(shape, np.float32)
    for place, pixels in windows(top, x, kernel, stride):
        total = so_far = np.float32(0)
        for pixel in pixels:
            total += x[pixel]
        for pixel in pixels:
            so_far += x[pixel]
            if so_far >= uniform[place] * total:
                want[place] = x[pixel]
                gradient[pixel] += diff[place]
                break
    np.testing.assert_array_equal(top, want)
    np.testing.assert_allclose(net.blobs["x"].diff, gradient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", WINDOWS)
def test_testing(case: str) -> None:
    shape, kernel, stride, fields = WINDOWS[case]
    draw = np.random.default_rng(0)
    x = draw.normal(0.2, 1, size=shape).astype(np.float32)
    x[0, 0] = 0
    net = one_layer(layer(kernel, stride, fields), "TEST", x=x)
    top = net.blobs["y"].data
    diff = draw.normal(size=top.shape).astype(np.float32)
    backward(net, y=diff)

    want, gradient = np.zeros(top.shape), np.zeros(shape)
    for place, pixels in windows(top, x, kernel, stride):
        total = sum(float(x[pixel]) for pixel in pixels)
        if total > 0:
            want[place] = sum(float(x[pixel]) ** 2 for pixel in pixels) / total
            for pixel in pixels:  # of a quotient
                gradient[pixel] += diff[place] * (2 * x[pixel] - want[place]) / total
    np.testing.assert_allclose(top, want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.blobs["x"].diff, gradient, rtol=1e-3, atol=1e-3)


def test_each_pixel_is_drawn_as_often_as_its_share_says() -> None:
    x = np.tile(np.float32([[1, 0], [3, 6]]), (1, 2000, 1, 1))
    rng.set_random_seed(1)
    top = one_layer(layer((2, 2), (2, 2), ""), x=x).blobs["y"].data.ravel()
    shares = [(top == value).mean() for value in (1, 0, 3, 6)]
    np.testing.assert_allclose(shares, [0.1, 0, 0.3, 0.6], atol=0.03)
    mean = one_layer(layer((2, 2), (2, 2), ""), "TEST", x=x).blobs["y"].data
    np.testing.assert_allclose(mean, np.full(mean.shape, 4.6), rtol=1e-6)


def test_negative_values_may_leave_a_window_without_a_pixel() -> None:
    """-5 and -5 + 3 are both less than any part of their sum, -2: Caffe leaves what was in the top's memory."""
    net = one_layer(layer((1, 2), (1, 2), ""), x=[[[[-5, 3]]]])
    backward(net, y=[[[[7]]]])
    assert net.blobs["y"].data.item() == 0
    assert net.blobs["x"].diff.tolist() == [[[[0, 0]]]]


def test_set_up() -> None:
    assert one_layer(layer((3, 3), (2, 2), ""), x=np.ones((1, 1, 6, 8))).blobs["y"].shape == (1, 1, 3, 4)
    with pytest.raises(CaffeError, match=r"layer 'L': pad \(1, 1\): padding is for MAX and AVE pooling only"):
        one_layer(layer((3, 3), (2, 2), "pad: 1"), x=np.ones((1, 1, 6, 8)))
    with pytest.raises(CaffeError, match="layer 'L': only MAX pooling has a second top"):
        one_layer(layer((3, 3), (2, 2), "") + ' top: "mask"', x=np.ones((1, 1, 6, 8)))


def test_in_training_it_has_no_onnx_form() -> None:
    net = one_layer(layer((2, 2), (2, 2), "") + " phase: TRAIN", "TEST", x=np.ones((1, 1, 4, 4)))
    with pytest.raises(CaffeError, match="layer 'L': phase TRAIN has no ONNX form: in phase TRAIN pool: STOCHASTIC"):
        to_onnx(net)
