"""Flatten: several axes become one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.in_place import refuse_in_place
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Flatten(Layer):
    """The bottom's axes from ``axis`` to ``end_axis``, both included, as one."""

    type = "Flatten"
    follows_dtype = True

    def setup(self, shapes: list[Shape]) -> None:
        refuse_in_place(self)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        param, shape = self.param.flatten_param, shapes[0]
        first = self.axis(param.axis, shape)
        end = self.axis(param.end_axis, shape, "end_axis") + 1
        if end < first:
            self.fail(f"end_axis {param.end_axis} lies before axis {param.axis} in the bottom's shape {list(shape)}")
        return [(*shape[:first], math.prod(shape[first:end]), *shape[end:])]

    def forward(self, *bottoms: Tensor) -> Tensor:
        return bottoms[0].reshape(self.reshape([tuple(bottoms[0].shape)])[0])

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.reshape(bottoms[0], graph.dims(tops[0]), tops)
