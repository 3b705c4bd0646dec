"""Reduction of the last axes to one number."""

from __future__ import annotations

import math

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2


@register
class Reduction(Layer):
    """SUM, ASUM (absolute values), SUMSQ (squares) or MEAN of all axes from ``axis`` on, times ``coeff``."""

    type = "Reduction"

    def setup(self, shapes: list[Shape]) -> None:
        self.first = self.axis(self.param.reduction_param.axis, shapes[0]) if shapes[0] else 0

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [shapes[0][: self.first]]

    def forward(self, *bottoms: Tensor) -> Tensor:
        param, kinds = self.param.reduction_param, caffe_pb2.ReductionParameter
        rows = bottoms[0].reshape(math.prod(bottoms[0].shape[: self.first]), -1)
        if param.operation == kinds.ASUM:
            rows = rows.abs()
        elif param.operation == kinds.SUMSQ:
            rows = rows.square()
        coeff = param.coeff / rows.shape[1] if param.operation == kinds.MEAN else param.coeff
        return rows.sum(1).mul(coeff).view(bottoms[0].shape[: self.first])
