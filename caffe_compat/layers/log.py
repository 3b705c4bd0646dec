"""Log: a logarithm of a linear function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, Need, NeuronLayer, Shape
from caffe_compat.layers.in_place import remembered
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Log(NeuronLayer):
    """top = log_base(shift + scale * bottom); base -1, the default, stands for e."""

    type = "Log"

    def setup(self, shapes: list[Shape]) -> None:
        base = self.param.log_param.base
        if base != -1 and (not 0 < base < math.inf or base == 1):
            self.fail(f"base: {base:g}, expected a positive number other than 1, or -1 for e")
        self.factor = 1.0 if base == -1 else 1 / math.log(base)

    def forward(self, *bottoms: Tensor) -> Tensor:
        param = self.param.log_param
        top = torch.log(param.shift + param.scale * bottoms[0]) * self.factor
        self.saved = remembered(self, bottoms[0], top)
        return top

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        param = self.param.log_param
        inner = graph.plus(graph.times(bottoms[0], param.scale), param.shift)
        graph.give(graph.times(graph.node("Log", [inner]), self.factor), tops[0])

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        param = self.param.log_param
        return [diffs[0] * (self.factor * param.scale / (param.shift + param.scale * self.saved))], []
