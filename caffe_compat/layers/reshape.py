"""Reshape: the same values under another shape."""

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
class Reshape(Layer):
    """``shape`` replaces ``num_axes`` axes of the bottom from ``axis`` on (default: all).

    In it 0 copies the bottom's axis of that place, -1 (once) takes what is left.
    """

    type = "Reshape"
    follows_dtype = True

    def setup(self, shapes: list[Shape]) -> None:
        refuse_in_place(self)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        param, shape = self.param.reshape_param, shapes[0]
        # Counted from the end, -1 means behind the last axis, where new ones can be added.
        first = param.axis if param.axis >= 0 else len(shape) + param.axis + 1
        end = len(shape) if param.num_axes == -1 else first + param.num_axes
        if not 0 <= first <= end <= len(shape):
            self.fail(f"axis {param.axis} and num_axes {param.num_axes} do not fit the bottom's shape {list(shape)}")
        dims = list(param.shape.dim)
        for i, dim in enumerate(dims):
            if dim == 0:
                if first + i >= len(shape):
                    self.fail(f"new shape contains a 0 at axis {i}, but the bottom {list(shape)} has no such axis")
                dims[i] = shape[first + i]
        result = [*shape[:first], *dims, *shape[end:]]
        if dims.count(-1) > 1 or min(dims, default=0) < -1:
            self.fail(f"shape {list(param.shape.dim)}: expected sizes, 0, and -1 once at the most")
        if -1 in dims:
            known = math.prod(dim for dim in result if dim != -1)
            if known == 0 or math.prod(shape) % known:
                self.fail(
                    f"bottom count {math.prod(shape)} must be divisible by the product of the specified dims, {known}"
                )
            result[result.index(-1)] = math.prod(shape) // known
        if math.prod(result) != math.prod(shape):
            self.fail(f"bottom of shape {list(shape)} cannot become {result}: the number of values differs")
        return [tuple(result)]

    def forward(self, *bottoms: Tensor) -> Tensor:
        return bottoms[0].reshape(self.reshape([tuple(bottoms[0].shape)])[0])

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.reshape(bottoms[0], graph.dims(tops[0]), tops)
