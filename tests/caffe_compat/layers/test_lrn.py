"""LRN across channels against its formula in float64; Caffe's own numbers are in test_golden.py."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.layers.lrn import _power
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

SHAPES = {"wide": (2, 16, 3, 5), "fewer_channels_than_the_window": (3, 2, 4, 1), "one_value": (1, 1, 1, 1)}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["first", "last"])
@pytest.mark.parametrize("beta", [0.75, 0.6])
@pytest.mark.parametrize("case", SHAPES)
def test_across_channels(case: str, beta: float, layout: torch.memory_format) -> None:
    shape = SHAPES[case]
    definition = (
        f'force_backward: true layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ '
        f'{"".join(f"dim: {size} " for size in shape)} }} }} }} layer {{ name: "n" type: "LRN" bottom: "x" top: "y" '
        f"lrn_param {{ local_size: 5 alpha: 0.5 beta: {beta} k: 1.5 }} }}"
    )
    net = Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TEST)
    draw = torch.Generator().manual_seed(1)
    values, diff = (torch.randn(shape, generator=draw) for _ in range(2))
    net.blobs["x"].tensor = values.contiguous(memory_format=layout)
    net.forward_layers()
    net.blobs["y"].grad = diff.contiguous(memory_format=layout)
    net.backward_layers()

    x = values.double().requires_grad_()
    scale = torch.stack([1.5 + 0.1 * (x[:, max(c - 2, 0) : c + 3] ** 2).sum(1) for c in range(shape[1])], 1)
    y = x * scale**-beta
    y.backward(diff.double())
    torch.testing.assert_close(net.blobs["y"].tensor, y.detach().float(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(net.blobs["x"].grad, x.grad.float(), rtol=1e-5, atol=1e-6)


def test_roots_are_as_good_as_a_power() -> None:
    scale = torch.linspace(1, 100, 100001)
    exact = scale.double() ** -0.75
    assert ((_power(scale, -0.75).double() - exact).abs() / exact).max() < 4 * torch.finfo(torch.float32).eps
    assert _power(torch.tensor([0.0, float("inf")]), -0.75).tolist() == [float("inf"), 0.0]
