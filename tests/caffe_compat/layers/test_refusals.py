"""Definitions and shapes that Caffe's CHECKs refuse: one line that names the layer and the field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

from .by_hand import one_layer

# Type, fields, shapes of the bottoms, what the line says.
CASES = {
    "group_0": (
        "Convolution",
        "convolution_param { num_output: 1 kernel_size: 1 group: 0 }",
        [(1, 1, 2, 2)],
        "group: 0",
    ),
    "stride_0": ("Pooling", "pooling_param { kernel_size: 2 stride: 0 }", [(1, 1, 2, 2)], "stride: 0"),
    "pad_h": ("Pooling", "pooling_param { kernel_size: 2 pad_h: 1 }", [(1, 1, 2, 2)], "pad_h and pad_w .* together"),
    "flatten": ("Flatten", "flatten_param { axis: 2 end_axis: 0 }", [(2, 3, 4)], "end_axis 0 lies before axis 2"),
    "im2col": ("Im2col", "convolution_param { kernel_size: 1 }", [(2, 3)], "no spatial axis behind axis 1"),
    "argmax": ("ArgMax", "", [()], "the bottom has no axes"),
    "two_labels": ("MultinomialLogisticLoss", "", [(5, 3), (5, 2)], "one label for each of 5 images"),
    "softmax_labels": ("SoftmaxWithLoss", "softmax_param { axis: 0 }", [(6, 3), (3,)], "the same first dimension"),
    "sigmoid_labels": ("SigmoidCrossEntropyLoss", "", [(6, 3), (3, 6)], "the same first dimension"),
    "infogain_normalize": ("InfogainLoss", "loss_param { normalize: true }", [(2, 3), (2,), (3, 3)], "normalize"),
    "other_axes": (
        "Convolution",
        "convolution_param { num_output: 1 kernel_size: 1 }",
        [(1, 2, 2), (1,)],
        "same shape",
    ),
    "lstm": ("LSTM", "recurrent_param { num_output: 2 }", [(4,), (4,)], "x has the shape"),
    "crop": ("Crop", "crop_param { axis: 1 }", [(2, 3, 4), (2, 3)], "bottom 1 .* has fewer axes"),
    "scalar_images": ("BatchReindex", "", [(), (2,)], "bottom 0 has no axes"),
    "scalar_selector": ("Filter", "", [(2,), ()], "the selector has shape"),
    "scalar_losses": ("EuclideanLoss", "", [(), ()], "the same dimension"),
    "softmax_two_labels": ("SoftmaxWithLoss", "", [(5, 3), (5, 2)], "10 labels .* 5 positions .* along axis 1"),
    "accuracy_labels": ("Accuracy", "accuracy_param { axis: 2 }", [(5, 3, 2), (5,)], "5 labels .* 15 positions"),
    "infogain_labels": ("InfogainLoss", "", [(5, 3), (5, 2), (3, 3)], "10 labels .* 5 positions"),
    "exp_base": ("Exp", "exp_param { base: inf }", [(2,)], "base: inf, expected a positive number"),
    "log_base": ("Log", "log_param { base: nan }", [(2,)], "base: nan, expected a positive number"),
    "hinge_labels": ("HingeLoss", "", [(5, 3), (4,)], "the same first dimension"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str) -> None:
    kind, fields, shapes, words = CASES[case]
    bottoms = {f"x{i}": np.ones(shape) for i, shape in enumerate(shapes)}
    names = " ".join(f'bottom: "{name}"' for name in bottoms)
    tops = 'top: "y" top: "z"' if case == "other_axes" else 'top: "y"'
    with pytest.raises(CaffeError, match=f"layer 'L': .*{words}"):
        one_layer(f'type: "{kind}" {names} {tops} {fields}', force=False, **bottoms)


def test_refused_matrix(tmp_path: Path) -> None:
    path = tmp_path / "h.binaryproto"
    layer = f'type: "InfogainLoss" bottom: "x" bottom: "y" top: "l" infogain_loss_param {{ source: "{path}" }}'
    for said in (f"{path}: cannot read it", f"{path}: 3 values for shape \\[2, 2\\]"):
        with pytest.raises(CaffeError, match=f"layer 'L': infogain_loss_param.source: {said}"):
            one_layer(layer, x=[[1, 2]], y=[0])
        blob = caffe_pb2.BlobProto(shape={"dim": [2, 2]}, data=[1, 2, 3])
        path.write_bytes(blob.SerializeToString())


@pytest.mark.parametrize("kind", ["AbsVal", "Flatten", "Reshape"])
def test_refused_in_place(kind: str) -> None:
    with pytest.raises(CaffeError, match=f"layer 'L': {kind} Layer does not allow in-place computation"):
        one_layer(f'type: "{kind}" bottom: "x" top: "x"', x=[[1, 2]])


def test_an_exponential_of_too_much_is_inf() -> None:
    layer = 'type: "Exp" bottom: "x" top: "y" exp_param { shift: 1e30 }'
    assert one_layer(layer, x=[1, 2]).blobs["y"].data.tolist() == [float("inf")] * 2


def test_a_filter_does_not_work_in_place() -> None:
    with pytest.raises(CaffeError, match="layer 'L': in-place top 'x'; expected another blob"):
        one_layer('type: "Filter" bottom: "x" bottom: "s" top: "x"', x=[[1, 2], [3, 4]], s=[0, 1])


STEPS = {
    "Accuracy": 'type: "Accuracy" bottom: "h" bottom: "label" top: "y"',
    "ArgMax": 'type: "ArgMax" bottom: "h" top: "y"',
    "Threshold": 'type: "Threshold" bottom: "h" top: "y"',
}


@pytest.mark.parametrize("kind", STEPS)
def test_no_gradient_through_steps(kind: str) -> None:
    """Caffe's backward aborts; here force_backward alone does not ask for it."""
    definition = """
        force_backward: true
        layer { name: "i" type: "Input" top: "x" top: "label" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
        layer { name: "h" type: "InnerProduct" bottom: "x" top: "h" inner_product_param { num_output: 3 } }
        layer { name: "L" %s %s }
    """
    net = Net(text.parse(definition % (STEPS[kind], ""), caffe_pb2.NetParameter))
    net.forward_backward()
    assert not net()["y"].requires_grad
    net = Net(text.parse(definition % (STEPS[kind], "loss_weight: 1"), caffe_pb2.NetParameter))
    net.forward_layers()
    with pytest.raises(CaffeError, match=f"layer 'L': {kind} has no gradient"):
        net.backward_layers()
