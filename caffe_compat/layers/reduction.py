"""Reduction of the last axes to one number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Reduction(Layer):
    """SUM, ASUM (absolute values), SUMSQ (squares) or MEAN of all axes from ``axis`` on, times ``coeff``."""

    type = "Reduction"

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        param = self.param.reduction_param
        self.first = self.axis(param.axis, shapes[0]) if shapes[0] else 0
        if param.operation != caffe_pb2.ReductionParameter.MEAN:
            self.along = self.first  # a sum over parts of the images is not that over all
        return [shapes[0][: self.first]]

    def forward(self, *bottoms: Tensor) -> Tensor:
        param, kinds = self.param.reduction_param, caffe_pb2.ReductionParameter
        shape = bottoms[0].shape
        rows = bottoms[0].reshape(math.prod(shape[: self.first]), math.prod(shape[self.first :]))
        if param.operation == kinds.ASUM:
            rows = rows.abs()
        elif param.operation == kinds.SUMSQ:
            rows = rows.square()
        coeff = param.coeff / max(1, rows.shape[1]) if param.operation == kinds.MEAN else param.coeff
        return rows.sum(1).mul(coeff).view(shape[: self.first])

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        param, kinds, (x,) = self.param.reduction_param, caffe_pb2.ReductionParameter, bottoms
        axes = range(self.first, len(graph.dims(x)))
        if param.operation == kinds.ASUM:
            x = graph.node("Abs", [x])
        elif param.operation == kinds.SUMSQ:
            x = graph.node("Mul", [x, x])
        if not axes:
            total = x
        elif param.operation == kinds.MEAN:
            total = graph.node("ReduceMean", [x], axes=axes, keepdims=0)
        else:
            total = graph.node("ReduceSum", [x, graph.integers(axes, "axes")], keepdims=0)
        graph.give(graph.times(total, param.coeff), tops[0])
