"""Layers whose top is their bottom: what their backward finds there, and which may not be."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.layers.base import Layer


def remembered(layer: Layer, bottom: Tensor, top: Tensor) -> Tensor:
    """The values in the bottom's memory when Caffe's backward reads them: the top's, if the layer works in place."""
    return top if layer.param.top[:1] == layer.param.bottom[:1] else bottom


def refuse_in_place(layer: Layer) -> None:
    """Fail for a layer of a type that Caffe does not let work in place."""
    if layer.param.top[:1] == layer.param.bottom[:1]:
        layer.fail(f"{layer.type} Layer does not allow in-place computation; top and bottom are {layer.param.top[0]!r}")
