"""Nets of one layer with inputs, to hold against numbers worked out from Caffe's formulas."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text


def one_layer(layer: str, phase: str = "TRAIN", force: bool = True, **inputs: ArrayLike) -> Net:
    """A net of ``layer``, a text without its braces, run forward on the inputs, which have these names."""
    arrays = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
    definition = f"force_backward: {str(force).lower()}\n"
    for name, array in arrays.items():
        dims = " ".join(f"dim: {size}" for size in array.shape)
        definition += f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
    definition += f'layer {{ name: "L" {layer} }}'
    net = Net(text.parse(definition, caffe_pb2.NetParameter), getattr(caffe_pb2, phase))
    for name, array in arrays.items():
        net.blobs[name].data[...] = array
    net.forward_layers()
    return net


def backward(net: Net, **diffs: ArrayLike) -> None:
    """Run the net backward from these diffs of its tops."""
    for name, diff in diffs.items():
        net.blobs[name].diff[...] = diff
    net.clear_param_diffs()
    net.backward_layers()
