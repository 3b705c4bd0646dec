"""Layers that work in place and read their bottom in Caffe's backward: what they find there is the top."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

from .by_hand import backward

X = np.float32([0.25, 0.5, 2, 3])
Y_LOG, Y_BNLL = np.log(1 + 2 * X), np.log(1 + np.exp(X))

# Definition, top, and the slope at the top where Caffe has it at the bottom (the .cpp of each layer).
CASES = {
    "Log": ("log_param { scale: 2 shift: 1 }", Y_LOG, 2 / (1 + 2 * Y_LOG)),
    "BNLL": ("", Y_BNLL, np.exp(Y_BNLL) / (1 + np.exp(Y_BNLL))),
    "Clip": ("clip_param { min: 0.5 max: 2 }", X.clip(0.5, 2), np.ones(4)),
    "Power": ("power_param { power: 2 scale: 3 }", (3 * X) ** 2, 2 * 3 * 3 * (3 * X) ** 2),
    "ReLU": ("relu_param { negative_slope: -1 }", abs(X - 1), [1, 1, 1, 1]),  # |x|, positive everywhere
    "ELU": ("elu_param { alpha: -1 }", np.where(X > 1, X - 1, 1 - np.exp(X - 1)), [1, 1, 1, 1]),
    # Those that read their top need no more than that.
    "Exp": ("", np.exp(X), np.exp(X)),
    "TanH": ("", np.tanh(X), 1 - np.tanh(X) ** 2),
}


@pytest.mark.parametrize("kind", CASES)
def test_slope_at_the_top(kind: str) -> None:
    fields, top, slope = CASES[kind]
    shift = "shift: -1" if kind in ("ReLU", "ELU") else ""
    definition = f"""
    force_backward: true
    layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 4 }} }} }}
    layer {{ name: "copy" type: "Power" bottom: "x" top: "y" power_param {{ {shift} }} }}
    layer {{ name: "L" type: "{kind}" bottom: "y" top: "y" {fields} }}
    """
    net = Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TRAIN)
    net.blobs["x"].data[...] = X
    net.forward_layers()
    np.testing.assert_allclose(net.blobs["y"].data, top, rtol=1e-6)
    backward(net, y=[1, 2, 3, 4])
    np.testing.assert_allclose(net.blobs["x"].diff, np.multiply(slope, [1, 2, 3, 4]), rtol=1e-5)
