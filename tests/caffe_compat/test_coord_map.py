"""Where coordinates of one top lie in another, and the Crop layers that follow from it."""

# ruff: noqa: C408 - nets in Python are written with dict(name=value)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import caffe_compat as caffe
from caffe_compat import NetSpec
from caffe_compat import layers as L
from caffe_compat.coord_map import UndefinedMapException, coord_map, coord_map_from_to, crop
from caffe_compat.errors import CaffeError


def data() -> Any:
    return L.Input(shape=dict(dim=[1, 1, 40, 40]))


def conv(bottom: Any, **fields: Any) -> Any:
    return L.Convolution(bottom, num_output=1, **fields)


def test_maps_of_layers() -> None:
    x = data()
    assert coord_map(L.ReLU(x).fn) == (None, 1, 0)
    assert coord_map(conv(x, kernel_size=3, stride=2, pad=1).fn) == (1, 0.5, 0)
    assert coord_map(L.Pooling(x, kernel_size=2, stride=2).fn) == (1, 0.5, -0.25)
    deconv = L.Deconvolution(x, convolution_param=dict(num_output=1, kernel_size=4, stride=2, pad=1))
    assert coord_map(deconv.fn) == (1, 2, 0.5)
    assert coord_map(L.Crop(x, x, offset=5).fn) == (1, 1, -5)
    assert coord_map(L.Crop(x, x, crop_param=dict(axis=1, offset=[1, 2])).fn)[0] == 0
    axis, scale, shift = coord_map(conv(x, kernel_size=[3, 5], dilation=2).fn)
    assert (axis, scale.tolist(), shift.tolist()) == (1, [1], [-2, -4])
    with pytest.raises(UndefinedMapException):
        coord_map(L.InnerProduct(x, num_output=1).fn)


@pytest.mark.parametrize(
    ("build", "offset"),
    [
        (lambda x: (conv(x, kernel_size=5), x), None),
        (lambda x: (x, conv(x, kernel_size=5)), [2]),
        (lambda x: (conv(x, kernel_size=3, pad=10), x), [9]),
        (lambda x: (conv(x, kernel_size=3, pad=[10, 4]), x), [9, 3]),
        (lambda x: (L.ReLU(conv(conv(x, kernel_size=3, pad=3), kernel_size=3, pad=3)), x), [4]),
        (
            lambda x: (
                L.Deconvolution(
                    L.Pooling(conv(x, kernel_size=3, pad=20), kernel_size=2, stride=2),
                    convolution_param=dict(num_output=1, kernel_size=4, stride=2),
                ),
                x,
            ),
            [20],
        ),
    ],
)
def test_crops(build: Any, offset: list[int] | None) -> None:
    x = data()
    top_from, top_to = build(x)
    if offset is None:
        with pytest.raises(CaffeError, match="cannot crop negative width"):
            crop(top_from, top_to)
        return
    cropped = crop(top_from, top_to)
    assert cropped.fn.params["crop_param"] == {"axis": 2, "offset": offset}
    n = NetSpec()
    n.x, n.start, n.end, n.cropped = x, top_from, top_to, cropped
    net = caffe.Net(n.to_proto(), caffe.TEST)
    assert net.blobs["cropped"].shape[2:] == net.blobs[net.bottom_names["cropped"][1]].shape[2:]


def test_a_crop_puts_pixels_where_they_came_from() -> None:
    """A padded convolution that copies its middle pixel, cropped back, is the image itself."""
    n = NetSpec()
    n.x = data()
    n.padded = conv(n.x, kernel_size=7, pad=[9, 5], bias_term=False)
    n.cropped = crop(n.padded, n.x)
    net = caffe.Net(n.to_proto(), caffe.TEST)
    net.params["padded"][0].data[0, 0, 3, 3] = 1
    image = np.random.default_rng(0).random((1, 1, 40, 40), np.float32)
    np.testing.assert_array_equal(net.forward(x=image)["cropped"], image)


def test_many_branches_are_walked_once() -> None:
    top = first = data()
    for _ in range(200):
        top = L.Eltwise(L.ReLU(top), top)
    assert coord_map_from_to(top, first) == (None, 1, 0)


def test_what_cannot_be_cropped_is_named() -> None:
    x = data()
    with pytest.raises(CaffeError, match=r"crop: scale mismatch on crop: \[0.5\]"):
        crop(x, L.Pooling(x, kernel_size=2, stride=2))
    with pytest.raises(CaffeError, match="cannot crop noninteger width"):
        crop(x, conv(x, kernel_size=4))
    with pytest.raises(CaffeError, match="does not know kernel_h"):
        coord_map(L.Convolution(x, num_output=1, kernel_h=3, kernel_w=3).fn)
    with pytest.raises(RuntimeError, match="connected by spatial layers"):
        coord_map_from_to(x, data())
    with pytest.raises(RuntimeError, match="connected by spatial layers"):
        coord_map_from_to(L.InnerProduct(x, num_output=1), x)
