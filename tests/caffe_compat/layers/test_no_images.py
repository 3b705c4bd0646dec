"""Batches without any image, as a Filter makes them where its selector is 0 throughout."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

# Type, fields, and the shape of the top.
CASES = {
    "ArgMax": ("", (0, 1, 1, 1)),
    "BatchNorm": ("batch_norm_param { use_global_stats: true }", (0, 2, 3, 3)),
    "Convolution": ("convolution_param { num_output: 3 kernel_size: 2 }", (0, 3, 2, 2)),
    "Im2col": ("convolution_param { kernel_size: 2 }", (0, 8, 2, 2)),
    "InnerProduct": ("inner_product_param { num_output: 3 }", (0, 3)),
    "LRN": ("", (0, 2, 3, 3)),
    "MVN": ("", (0, 2, 3, 3)),
    "Pooling": ("pooling_param { kernel_size: 3 }", (0, 2, 1, 1)),
    "Reduction": ("reduction_param { axis: 1 }", (0,)),
    "Softmax": ("", (0, 2, 3, 3)),
    "SPP": ("spp_param { pyramid_height: 2 }", (0, 10)),
}


@pytest.mark.parametrize("kind", CASES)
def test_no_images_in_none_out(kind: str) -> None:
    fields, shape = CASES[kind]
    net = Net(
        text.parse(
            f"""
            force_backward: true
            layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 4 dim: 2 dim: 3 dim: 3 }} }} }}
            layer {{ name: "s" type: "Input" top: "s" input_param {{ shape {{ dim: 4 }} }} }}
            layer {{ name: "filter" type: "Filter" bottom: "x" bottom: "s" top: "y" }}
            layer {{ name: "L" type: "{kind}" bottom: "y" top: "z" {fields} }}
            """,
            caffe_pb2.NetParameter,
        )
    )
    net.forward_layers()
    assert net.blobs["z"].data.shape == shape
    if kind != "ArgMax":
        net.backward_layers(end=len(net.layers) - 1)
        assert net.blobs["y"].diff.shape == (0, 2, 3, 3)


def test_hinge_loss_of_no_images_is_nan() -> None:
    """Caffe divides by the number of images."""
    net = Net(
        text.parse(
            """
            layer { name: "x" type: "Input" top: "x" top: "label" top: "s"
                    input_param { shape { dim: 4 dim: 2 } shape { dim: 4 } shape { dim: 4 } } }
            layer { name: "filter" type: "Filter" bottom: "x" bottom: "label" bottom: "s" top: "y" top: "kept" }
            layer { name: "L" type: "HingeLoss" bottom: "y" bottom: "kept" top: "loss" }
            """,
            caffe_pb2.NetParameter,
        )
    )
    assert np.isnan(net.forward_layers().item())
