"""Power: a power of a linear function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Power(NeuronLayer):
    """top = (shift + scale * bottom) ^ power."""

    type = "Power"

    def forward(self, *bottoms: Tensor) -> Tensor:
        param = self.param.power_param
        base = param.shift + param.scale * bottoms[0]
        return base if param.power == 1 else base.pow(param.power)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        param = self.param.power_param
        y = graph.plus(graph.times(bottoms[0], param.scale), param.shift)
        if param.power != 1:
            y = graph.node("Pow", [y, graph.constant(np.float32(param.power), "power")])
        graph.give(y, tops[0])
