"""Convolutions of images whose strides in memory are ambiguous, and those that torch has not: any number of axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from caffe_compat import precision
from caffe_compat.errors import CaffeError
from caffe_compat.export.onnx_export import to_onnx
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

from .by_hand import backward, one_layer

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


# Bottom, kernel, stride, pad, dilation, group: more and fewer spatial axes than torch has, and a kernel that is larger
# than the padded bottom, which Caffe gives one place because C rounds the quotient towards 0. A dilation of 0, which it
# does not check, has all taps read the same pixel.
ANY_AXES = {
    "none": ((3, 4), (), (), (), (), 2),
    "four": ((2, 4, 3, 4, 2, 3), (2, 3, 1, 2), (2, 1, 1, 1), (1, 0, 0, 1), (1, 1, 1, 2), 2),
    "five": ((1, 2, 2, 2, 3, 2, 2), (2, 1, 2, 1, 2), (1, 2, 1, 1, 1), (0, 0, 1, 0, 0), (1, 1, 2, 1, 1), 1),
    "larger": ((2, 2, 2, 5), (3, 2), (2, 1), (0, 0), (1, 1), 1),
    "not_dilated_at_all": ((2, 4, 5, 4), (3, 2), (2, 1), (1, 0), (0, 2), 2),
    "not_dilated_at_all_four": ((2, 2, 3, 2, 3, 2), (2, 2, 3, 1), (1, 1, 2, 3), (0, 1, 0, 1), (0, 1, 0, 0), 1),
}


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("case", ANY_AXES)
def test_any_number_of_axes(case: str, kind: str) -> None:
    """Against the sum over all places and taps, forward and backward."""
    shape, *window, group = ANY_AXES[case]
    names = ("kernel_size", "stride", "pad", "dilation")
    fields = " ".join(f"{name}: {value}" for name, values in zip(names, window) for value in values)
    outputs, channels, transposed = 6, shape[1], kind == "Deconvolution"
    draw = np.random.default_rng(0)
    x = draw.normal(size=shape).astype(np.float32)
    layer = f'type: "{kind}" bottom: "x" top: "y" convolution_param {{ num_output: {outputs} group: {group} {fields} }}'
    net = one_layer(layer, x=x)
    weight, bias = net.params["L"]
    weight.data[...] = draw.normal(size=weight.shape)
    bias.data[...] = draw.normal(size=bias.shape)
    net.forward_layers()
    diff = draw.normal(size=net.blobs["y"].shape).astype(np.float32)
    backward(net, y=diff)

    sides, (kernel, stride, pad, dilation) = shape[2:], window
    extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    rows = list(zip(sides, extent, stride, pad))
    size = [s * (n - 1) + e - 2 * p if transposed else int((n + 2 * p - e) / s) + 1 for n, e, s, p in rows]
    assert net.blobs["y"].shape == (shape[0], outputs, *size)
    y = np.zeros(diff.shape) + bias.data.reshape(-1, *[1] * len(size))
    of_x, of_weight = np.zeros(x.shape), np.zeros(weight.shape)
    few, many = (size, sides) if not transposed else (sides, size)  # places of the kernel, and what it lies on
    for place, tap, g in itertools.product(np.ndindex(*few), np.ndindex(*kernel), range(group)):
        on = tuple(o * s - p + t * d for o, s, p, t, d in zip(place, stride, pad, tap, dilation))
        if not all(0 <= i < n for i, n in zip(on, many)):
            continue
        own = [slice(g * n // group, (g + 1) * n // group) for n in (channels, outputs)]
        at_x = (slice(None), own[0], *(place if transposed else on))
        at_y = (slice(None), own[1], *(on if transposed else place))
        at_w = (own[0] if transposed else own[1], slice(None), *tap)
        factor = weight.data[at_w].T if transposed else weight.data[at_w]  # (outputs, channels) of the group
        y[at_y] += x[at_x] @ factor.T
        of_x[at_x] += diff[at_y] @ factor
        product = diff[at_y].T @ x[at_x]
        of_weight[at_w] += product.T if transposed else product
    np.testing.assert_allclose(net.blobs["y"].data, y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.blobs["x"].diff, of_x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weight.diff, of_weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(bias.diff, diff.sum(axis=(0, *range(2, diff.ndim))), rtol=1e-4, atol=1e-5)


def test_any_number_of_axes_in_bf16() -> None:
    """Such a convolution multiplies in float32 whatever the precision; only what the net stores is rounded."""
    layer = 'type: "Convolution" bottom: "h" top: "y" convolution_param { num_output: 3 kernel_size: 2 }'
    results = []
    for name in ("fp32", "bf16"):
        with precision.use(name):
            net = Net(
                text.parse(
                    f"""
                    layer {{ name: "x" type: "Input" top: "x" input_param {{
                      shape {{ dim: 2 dim: 4 dim: 2 dim: 2 dim: 3 dim: 2 }} }} }}
                    layer {{ name: "c" type: "Convolution" bottom: "x" top: "h" convolution_param {{ num_output: 4
                      kernel_size: 1 }} }}
                    layer {{ name: "L" {layer} loss_weight: 1 }}
                    """,
                    caffe_pb2.NetParameter,
                )
            )
        draw = np.random.default_rng(0)
        net.blobs["x"].data[...] = draw.normal(size=net.blobs["x"].shape)
        for blob in [net.params["c"][0], net.params["L"][0]]:
            blob.data[...] = draw.normal(size=blob.shape)
        net.forward_backward()
        results.append([net.blobs["y"].data, net.params["c"][0].diff, net.params["L"][0].diff])
    for exact, rounded in zip(*results):
        assert 0 < abs(rounded - exact).max() < 0.01 * abs(exact).max()


@pytest.mark.parametrize("kind", ["Convolution", "Im2col"])
def test_a_dilation_of_0_has_no_onnx_form(kind: str) -> None:
    fields = "kernel_size: 3 dilation: 0" + (" num_output: 1" if kind == "Convolution" else "")
    net = one_layer(
        f'type: "{kind}" bottom: "x" top: "y" convolution_param {{ {fields} }}', "TEST", x=np.ones((1, 1, 4, 4))
    )
    with pytest.raises(CaffeError, match=r"layer 'L': kernel \[3, 3\] with dilation \[0, 0\] on a bottom of \[4, 4\]"):
        to_onnx(net)
