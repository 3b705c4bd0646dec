"""Definitions and shapes that Caffe's CHECKs refuse: one line that names the layer and the field."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.errors import CaffeError

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
    "hinge_labels": ("HingeLoss", "", [(5, 3), (4,)], "the same first dimension"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str) -> None:
    kind, fields, shapes, words = CASES[case]
    bottoms = {f"x{i}": np.ones(shape) for i, shape in enumerate(shapes)}
    names = " ".join(f'bottom: "{name}"' for name in bottoms)
    with pytest.raises(CaffeError, match=f"layer 'L': .*{words}"):
        one_layer(f'type: "{kind}" {names} top: "y" {fields}', force=False, **bottoms)
