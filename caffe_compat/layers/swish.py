"""Swish: the self-gated unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Swish(NeuronLayer):
    """top = bottom * sigmoid(beta * bottom)."""

    type = "Swish"

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        return x * torch.sigmoid(self.param.swish_param.beta * x)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        (x,) = bottoms
        graph.node("Mul", [x, graph.node("Sigmoid", [graph.times(x, self.param.swish_param.beta)])], tops)
