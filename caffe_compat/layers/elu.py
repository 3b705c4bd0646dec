"""ELU: the exponential linear unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class ELU(NeuronLayer):
    """top = bottom where bottom > 0, else alpha * (exp(bottom) - 1)."""

    type = "ELU"

    def forward(self, *bottoms: Tensor) -> Tensor:
        return F.elu(bottoms[0], self.param.elu_param.alpha)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.node("Elu", bottoms, tops, alpha=self.param.elu_param.alpha)
