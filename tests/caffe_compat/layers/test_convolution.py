"""Convolutions of images with a side or a channel of 1, whose strides in memory are ambiguous."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

# Bottom, num_output, kernel, stride, pad, dilation: torch 2.13 computed wrongly, or crashed, with channels last.
AMBIGUOUS = {
    "one_column_out": ((15, 1, 7, 4), 2, (2, 3), (1, 3), (0, 0), (1, 1)),
    "one_column_out_of_padding": ((2, 1, 5, 4), 2, (3, 3), (1, 2), (2, 0), (1, 1)),
    "one_column_in": ((8, 3, 5, 1), 1, (2, 1), (2, 2), (1, 1), (2, 2)),
    "one_column_in_one_channel": ((7, 1, 7, 1), 2, (1, 1), (3, 3), (2, 2), (1, 2)),
    "one_channel_in_and_out": ((9, 1, 6, 5), 1, (3, 2), (1, 1), (1, 0), (1, 1)),
    "one_pixel": ((5, 2, 1, 1), 3, (1, 1), (1, 1), (0, 0), (1, 1)),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_ambiguous_strides(case: str) -> None:
    shape, outputs, kernel, stride, pad, dilation = AMBIGUOUS[case]
    fields = "".join(f"kernel_{a}: {k} stride_{a}: {s} pad_{a}: {p} " for a, k, s, p in zip("hw", kernel, stride, pad))
    fields += "".join(f"dilation: {size} " for size in dilation)
    definition = (
        f'force_backward: true layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ '
        f'{"".join(f"dim: {size} " for size in shape)} }} }} }} layer {{ name: "c" type: "Convolution" bottom: "x" '
        f'top: "y" convolution_param {{ num_output: {outputs} {fields} weight_filler {{ type: "xavier" }} }} }}'
    )
    net = Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TEST)
    draw = np.random.default_rng(0)
    net.blobs["x"].data[...] = draw.normal(size=shape)
    net.forward_layers()
    net.blobs["y"].diff[...] = draw.normal(size=net.blobs["y"].shape)
    net.backward_layers()

    blobs = (net.blobs["x"], *net.params["c"])
    x, weight, bias = (torch.tensor(blob.data, dtype=torch.float64, requires_grad=True) for blob in blobs)
    y = torch.nn.functional.conv2d(x, weight, bias, stride, pad, dilation)
    y.backward(torch.tensor(net.blobs["y"].diff, dtype=torch.float64))
    np.testing.assert_allclose(net.blobs["y"].data, y.detach(), rtol=1e-5, atol=1e-5)
    for blob, exact in zip(blobs, (x, weight, bias)):
        np.testing.assert_allclose(blob.diff, exact.grad, rtol=1e-5, atol=1e-4)
