"""ELU: the exponential linear unit."""

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
class ELU(NeuronLayer):
    """top = bottom where bottom > 0, else alpha * (exp(bottom) - 1)."""

    type = "ELU"

    def forward(self, *bottoms: Tensor) -> Tensor:
        top = F.elu(bottoms[0], self.param.elu_param.alpha)
        self.saved = (remembered(self, bottoms[0], top), top)
        return top

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.node("Elu", bottoms, tops, alpha=self.param.elu_param.alpha)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        x, top = self.saved
        return [torch.where(x > 0, diffs[0], diffs[0] * (self.param.elu_param.alpha + top))], []
