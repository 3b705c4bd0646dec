"""ReLU, also in its leaky form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, Need, NeuronLayer
from caffe_compat.layers.in_place import remembered
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class ReLU(NeuronLayer):
    """top = max(bottom, 0) + negative_slope * min(bottom, 0); the gradient at 0 is negative_slope's."""

    type = "ReLU"
    follows_dtype = True

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        slope = self.param.relu_param.negative_slope
        if slope:
            top = torch.where(x > 0, x, slope * x)
            self.saved = remembered(self, x, top)  # of another sign in place, if the slope is negative
            return top
        self.saved = torch.relu_(x) if self.in_place else torch.relu(x)
        return self.saved

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        slope = self.param.relu_param.negative_slope
        if slope:
            graph.node("LeakyRelu", bottoms, tops, alpha=slope)
        else:
            graph.node("Relu", bottoms, tops)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        slope = self.param.relu_param.negative_slope
        if slope:
            return [torch.where(self.saved > 0, diffs[0], slope * diffs[0])], []
        return [torch.ops.aten.threshold_backward(diffs[0], self.saved, 0)], []
