"""TanH: the hyperbolic tangent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, Need, NeuronLayer
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class TanH(NeuronLayer):
    """top = tanh(bottom), element by element."""

    type = "TanH"

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        self.saved = torch.tanh_(x) if self.in_place else torch.tanh(x)
        return self.saved

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.node("Tanh", bottoms, tops)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        return [torch.ops.aten.tanh_backward(diffs[0], self.saved)], []
