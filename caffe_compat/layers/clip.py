"""Clip: values kept within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from caffe_compat.layers.base import Gradients, Need, NeuronLayer
from caffe_compat.layers.in_place import remembered
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Clip(NeuronLayer):
    """top = min(max(bottom, min), max); the gradient passes where bottom is within the bounds, ends included.

    In place it passes everywhere, since what backward finds has been clipped (clip_layer.cpp).
    """

    type = "Clip"

    def forward(self, *bottoms: Tensor) -> Tensor:
        clip = self.param.clip_param
        top = bottoms[0].clamp(clip.min, clip.max)
        self.saved = remembered(self, bottoms[0], top)
        return top

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        clip = self.param.clip_param
        low, high = graph.constant(np.float32(clip.min), "min"), graph.constant(np.float32(clip.max), "max")
        graph.node("Clip", [*bottoms, low, high], tops)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        clip = self.param.clip_param
        return [diffs[0] * ((self.saved >= clip.min) & (self.saved <= clip.max))], []
