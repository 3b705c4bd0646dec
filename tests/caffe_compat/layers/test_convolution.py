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
    "one_column_in_by_strides": ((2, 5, 13, 1), 1, (5, 1), (1, 2), (1, 1), (2, 2)),
    "one_column_out_one_channel": ((15, 1, 7, 3), 3, (3, 2), (1, 2), (1, 0), (1, 1)),
    "one_pixel": ((5, 2, 1, 1), 3, (1, 1), (1, 1), (0, 0), (1, 1)),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["first", "last"])
@pytest.mark.parametrize("case", AMBIGUOUS)
def test_ambiguous_strides(case: str, layout: torch.memory_format) -> None:
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
    net.blobs["x"].tensor = torch.from_numpy(draw.normal(size=shape)).float().contiguous(memory_format=layout)
    net.forward_layers()
    diff = torch.from_numpy(draw.normal(size=net.blobs["y"].shape)).float()
    net.blobs["y"].grad = diff.contiguous(memory_format=layout)
    net.backward_layers()

    blobs = (net.blobs["x"], *net.params["c"])
    x, weight, bias = (torch.tensor(blob.data, dtype=torch.float64, requires_grad=True) for blob in blobs)
    y = torch.nn.functional.conv2d(x, weight, bias, stride, pad, dilation)
    y.backward(torch.tensor(net.blobs["y"].diff, dtype=torch.float64))
    np.testing.assert_allclose(net.blobs["y"].data, y.detach(), rtol=1e-5, atol=1e-5)
    for blob, exact in zip(blobs, (x, weight, bias)):
        np.testing.assert_allclose(blob.diff, exact.grad, rtol=1e-5, atol=1e-4)


def test_channels_lie_last_up_to_the_next_inner_product() -> None:
    """Pooling is some ten times faster so; weights and their diffs lie as Caffe's do, for the update rule."""
    definition = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
    layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 3 } }
    layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
    layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: "n" type: "LRN" bottom: "p" top: "n" }
    layer { name: "i" type: "InnerProduct" bottom: "n" top: "i" loss_weight: 1 inner_product_param { num_output: 2 } }
    """
    net = Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TRAIN)
    net.blobs["x"].data[...] = 1
    net.forward_backward()
    for name in ("c", "p", "n"):
        assert net.blobs[name].tensor.is_contiguous(memory_format=torch.channels_last)
    for name in ("c", "p"):
        assert net.blobs[name].grad.is_contiguous(memory_format=torch.channels_last)
    assert all(one.parameter.grad.is_contiguous() for one in net.learnable)
