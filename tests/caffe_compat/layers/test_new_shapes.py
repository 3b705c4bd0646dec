"""Bottoms that get another shape after set-up: a layer takes them, or says why not; Caffe asks before each forward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from caffe_compat.errors import CaffeError

from .by_hand import backward, one_layer

# Type, fields, shapes of the bottoms at first, and then; what the line says.
CASES = {
    "accuracy": ("Accuracy", "", [(2, 5), (2,)], [(3, 5), (2,)], "number of labels must match"),
    "arg_max": ("ArgMax", "argmax_param { top_k: 3 }", [(2, 3)], [(2, 2)], "top_k: 3, expected 1 to 2"),
    "batch_norm": ("BatchNorm", "", [(2, 3)], [(2, 1)], "expected 3 channels"),
    "bias": ("Bias", "", [(2, 3)], [(2, 1)], "does not fit the bottom"),
    "concat": ("Concat", "", [(2, 3), (2, 1)], [(2, 3), (1, 1)], "only axis 1 may differ"),
    "contrastive": ("ContrastiveLoss", "", [(2, 3), (2, 3), (2,)], [(2, 3), (2, 3), (1,)], "expected bottoms"),
    "convolution": (
        "Convolution",
        "convolution_param { num_output: 1 kernel_size: 1 }",
        [(1, 2, 2, 2)],
        [(1, 1, 2, 2)],
        "bottom has 1 channels; expected 2",
    ),
    "euclidean": ("EuclideanLoss", "", [(2, 3), (2, 3)], [(2, 3), (2, 1)], "same dimension"),
    "im2col": ("Im2col", "convolution_param { kernel_size: 1 }", [(1, 2, 2, 2)], [(1, 2, 2)], "as many axes as when"),
    "inner_product": ("InnerProduct", "inner_product_param { num_output: 2 }", [(2, 3)], [(2, 4)], "gives 4 inputs"),
    "lrn": ("LRN", "", [(1, 2, 2, 2)], [(1, 2, 2)], "expected 4 axes"),
    "lstm": ("LSTM", "recurrent_param { num_output: 1 }", [(2, 1, 3), (2, 1)], [(2, 1, 1), (2, 1)], "of 3 value"),
    "no_time": ("LSTM", "recurrent_param { num_output: 1 }", [(2, 1, 3), (2, 1)], [(0, 1, 3), (0, 1)], "time step"),
    "pooling": ("Pooling", "pooling_param { kernel_size: 2 }", [(1, 1, 2, 2)], [(1, 1, 1, 2)], "does not fit"),
    "prelu": ("PReLU", "", [(2, 3)], [(2, 4)], "expected 3 channels"),
    "slice": ("Slice", "", [(2, 4)], [(4,)], "axis: 1 is out of range"),
    "softmax_loss": ("SoftmaxWithLoss", "", [(2, 3), (2,)], [(2, 3), (2, 2)], "number of labels must match"),
    "spp": ("SPP", "spp_param { pyramid_height: 1 }", [(1, 2, 2, 2)], [(1, 2)], "expected 4 axes"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str) -> None:
    kind, fields, shapes, others, words = CASES[case]
    names = [f"x{i}" for i in range(len(shapes))]
    wires = " ".join(f'bottom: "{name}"' for name in names)
    net = one_layer(f'type: "{kind}" {wires} top: "y" {fields}', **dict(zip(names, map(np.zeros, shapes))))
    for name, shape in zip(names, others):
        net.blobs[name].reshape(*shape)
    with pytest.raises(CaffeError, match=f"layer 'L': .*{words}"):
        net.forward_layers()
    with pytest.raises(CaffeError, match=f"layer 'L': .*{words}"):
        net()  # torch's way


@pytest.mark.parametrize("shape", [(2, 3), (4,), (2, 2, 3), (0, 3)])
def test_an_axis_counted_from_the_end_is_that_of_the_new_shape(shape: Sequence[int]) -> None:
    net = one_layer('type: "Softmax" bottom: "x" top: "y" softmax_param { axis: -1 }', x=np.zeros((1, 2, 1)))
    net.blobs["x"].reshape(*shape)
    net.forward_layers()
    np.testing.assert_allclose(net.blobs["y"].data, np.full(shape, 1 / shape[-1]), rtol=1e-6)
    backward(net, y=np.ones(shape))
    np.testing.assert_allclose(net.blobs["x"].diff, np.zeros(shape), atol=1e-6)


def test_in_place_the_shape_stays() -> None:
    layer = 'type: "InnerProduct" bottom: "x" top: "x" inner_product_param { num_output: 2 }'
    with pytest.raises(CaffeError, match=r"layer 'L': in-place top 'x' would be of shape \[1, 2\], but .* of \[1, 3\]"):
        one_layer(layer, x=[[1, 2, 3]])


def test_a_contrastive_loss_of_no_pairs_is_nan() -> None:
    """Caffe divides by their number."""
    layer = 'type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "y" top: "loss"'
    net = one_layer(layer, a=np.zeros((0, 3)), b=np.zeros((0, 3)), y=np.zeros(0))
    assert np.isnan(net.blobs["loss"].data)
