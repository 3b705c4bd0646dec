"""BNLL: the smooth rectifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.base import Gradients, Need, NeuronLayer
from caffe_compat.layers.in_place import remembered
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class BNLL(NeuronLayer):
    """top = log(1 + exp(bottom)), without overflow for large bottoms."""

    type = "BNLL"

    def forward(self, *bottoms: Tensor) -> Tensor:
        top = F.softplus(bottoms[0], threshold=50)  # beyond it top = bottom, as in bnll_layer.cpp
        self.saved = remembered(self, bottoms[0], top)
        return top

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        """max(x, 0) + log(1 + exp(-|x|)), as Caffe has it: not every runtime's Softplus survives large values."""
        (x,) = bottoms
        tail = graph.node("Exp", [graph.node("Neg", [graph.node("Abs", [x])])])
        graph.node("Add", [graph.node("Relu", [x]), graph.node("Log", [graph.plus(tail, 1)])], tops)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        """The slope is the bottom's sigmoid."""
        return [diffs[0] * torch.sigmoid(self.saved)], []
