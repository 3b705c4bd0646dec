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
        base = param.scale * bottoms[0]
        if param.shift != 0 or param.scale == 0:  # a sum would make +0 of -0, whose power -1 is another infinity
            base = base + param.shift
        return base if param.power == 1 else base.pow(param.power)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        param, (x,) = self.param.power_param, bottoms
        if param.scale == 0:  # a constant; runtimes might take the power of -0
            with np.errstate(divide="ignore"):
                value = np.power(np.float32(param.shift), np.float32(param.power))
            graph.node("Add", [graph.times(x, 0), graph.constant(value, "value")], tops)
            return
        y = graph.plus(graph.times(x, param.scale), param.shift)
        if param.power != 1:
            y = graph.node("Pow", [y, graph.constant(np.float32(param.power), "power")])
        graph.give(y, tops[0])
