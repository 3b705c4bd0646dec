"""What a layer's backward finds of its bottom."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.layers.base import Layer


def remembered(layer: Layer, bottom: Tensor, top: Tensor) -> Tensor:
    """The values in the bottom's memory when Caffe's backward reads them: the top's, if the layer works in place."""
    return top if layer.param.top[:1] == layer.param.bottom[:1] else bottom
