"""Exp: an exponential of a linear function."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Exp(NeuronLayer):
    """top = base ^ (shift + scale * bottom); base -1, the default, stands for e."""

    type = "Exp"

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.exp_param
        if param.base != -1 and not 0 < param.base < math.inf:
            self.fail(f"base: {param.base:g}, expected a positive number, or -1 for e")
        log_base = 1.0 if param.base == -1 else math.log(param.base)
        self.inner = log_base * param.scale
        with np.errstate(over="ignore"):  # inf, as in C
            self.outer = float(np.exp(log_base * param.shift))

    def forward(self, *bottoms: Tensor) -> Tensor:
        return torch.exp(self.inner * bottoms[0]) * self.outer

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.give(graph.times(graph.node("Exp", [graph.times(bottoms[0], self.inner)]), self.outer), tops[0])
