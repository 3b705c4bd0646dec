"""MVN: mean and variance normalisation of each image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Gradients, Need, NeuronLayer
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class MVN(NeuronLayer):
    """top = (bottom - mean) / (sqrt(variance) + eps), over each channel, or each image with ``across_channels``.

    Without ``normalize_variance`` only the mean goes.
    """

    type = "MVN"

    def _rows(self, x: Tensor) -> Tensor:
        axes = 1 if self.param.mvn_param.across_channels else 2
        return x.reshape(math.prod(x.shape[:axes]), math.prod(x.shape[axes:]))

    def forward(self, *bottoms: Tensor) -> Tensor:
        param, rows = self.param.mvn_param, self._rows(bottoms[0])
        top = rows - rows.mean(1, keepdim=True)
        if param.normalize_variance:
            deviation = top.square().mean(1, keepdim=True).sqrt() + param.eps
            top = top / deviation
            self.saved = (top, deviation)
        return top.view(bottoms[0].shape)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        param, (x,) = self.param.mvn_param, bottoms
        axes = range(1 if param.across_channels else 2, len(graph.dims(x)))
        top = graph.node("Sub", [x, graph.mean(x, axes)])
        if param.normalize_variance:
            variance = graph.mean(graph.node("Mul", [top, top]), axes)
            top = graph.node("Div", [top, graph.plus(graph.node("Sqrt", [variance]), param.eps)])
        graph.give(top, tops[0])

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        """Caffe leaves eps out of the derivative: (d - mean(d) - top * mean(d * top)) / deviation."""
        rows = self._rows(diffs[0])
        grad = rows - rows.mean(1, keepdim=True)
        if self.param.mvn_param.normalize_variance:
            top, deviation = self.saved
            grad = (grad - top * (rows * top).mean(1, keepdim=True)) / deviation
        return [grad.view(diffs[0].shape)], []
