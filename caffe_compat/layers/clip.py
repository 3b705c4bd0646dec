"""Clip: values kept within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Clip(NeuronLayer):
    """top = min(max(bottom, min), max); the gradient passes where bottom is within the bounds, ends included."""

    type = "Clip"

    def forward(self, *bottoms: Tensor) -> Tensor:
        clip = self.param.clip_param
        return bottoms[0].clamp(clip.min, clip.max)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        clip = self.param.clip_param
        low, high = graph.constant(np.float32(clip.min), "min"), graph.constant(np.float32(clip.max), "max")
        graph.node("Clip", [*bottoms, low, high], tops)
