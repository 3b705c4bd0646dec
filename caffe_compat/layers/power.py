"""Power: a power of a linear function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, Need, NeuronLayer
from caffe_compat.layers.in_place import remembered
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
        top = base if param.power == 1 else base.pow(param.power)
        self.saved = (remembered(self, bottoms[0], top), top)
        return top

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

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        """Slope power * scale * top / (shift + scale * bottom), as Caffe computes it: nan where that divides 0 by 0."""
        param, (x, top) = self.param.power_param, self.saved
        factor = param.power * param.scale
        if factor == 0:
            return [torch.zeros_like(top)], []
        if param.power == 1:
            slope: Tensor | float = factor
        elif param.power == 2:
            slope = x * (factor * param.scale) + factor * param.shift
        elif param.shift == 0:
            slope = top / x * param.power
        else:
            slope = top / (x * param.scale + param.shift) * factor
        return [diffs[0] * slope], []
