"""Threshold: which values exceed a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer, Undifferentiable
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Threshold(Undifferentiable, NeuronLayer):
    """top = 1 where bottom > threshold, else 0. It has no gradient."""

    type = "Threshold"

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        return (x > self.param.threshold_param.threshold).to(x.dtype)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        threshold = graph.constant(np.float32(self.param.threshold_param.threshold), "threshold")
        graph.give(graph.cast(graph.node("Greater", [*bottoms, threshold]), np.float32), tops[0])
