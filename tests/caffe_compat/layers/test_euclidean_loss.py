"""EuclideanLoss by hand; Caffe's own numbers are in test_golden.py."""

from __future__ import annotations

import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt


def net(a: str, b: str) -> Net:
    text = f"""
    force_backward: true
    layer {{ name: "in" type: "Input" top: "a" top: "b" input_param {{ shape {{ {a} }} shape {{ {b} }} }} }}
    layer {{ name: "L" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" loss_weight: 2 }}
    """
    return Net(prototxt.parse(text, caffe_pb2.NetParameter))


def test_half_the_mean_squared_distance() -> None:
    loaded = net("dim: 2 dim: 2", "dim: 2 dim: 2 dim: 1")
    loaded.blobs["a"].data[...] = [[1, 2], [3, 4]]
    loaded.blobs["b"].data[...] = [[[0], [0]], [[1], [4]]]
    assert loaded.forward_backward().item() == 2 * (1 + 4 + 4 + 0) / 4
    assert loaded.blobs["a"].diff.tolist() == [[1, 2], [2, 0]]
    assert loaded.blobs["b"].diff.tolist() == [[[-1], [-2]], [[-2], [0]]]


@pytest.mark.parametrize("b", ["dim: 3 dim: 2", "dim: 4 dim: 1"])
def test_shapes_that_do_not_match(b: str) -> None:
    with pytest.raises(CaffeError, match="layer 'L': Inputs must have the same dimension; bottoms have the shapes"):
        net("dim: 2 dim: 2", b)
