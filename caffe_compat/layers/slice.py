"""Slice: one blob cut into several along an axis."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Slice(Layer):
    """The tops are the bottom's parts along ``axis`` (default 1; ``slice_dim`` is its older name).

    Cut at the ``slice_point``s, or into equal parts if none are given. The last point may be the axis's end: the last
    part is then empty (slice_layer.cpp).
    """

    type = "Slice"
    follows_dtype = True
    num_tops = (1, None)

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.slice_param
        if param.HasField("axis") and param.HasField("slice_dim"):
            self.fail("either axis or slice_dim should be specified, not both")

    def _sizes(self, size: int) -> list[int]:
        points, tops = list(self.param.slice_param.slice_point), len(self.param.top)
        if not points:
            if size % tops:
                self.fail(f"axis {self.along} of size {size} cannot be cut into {tops} equal parts")
            return [size // tops] * tops
        if tops > size:
            self.fail(f"slice_point: {points}, but axis {self.along} of size {size} cannot be cut into {tops} parts")
        if len(points) != tops - 1 or any(b <= a for a, b in pairwise([0, *points])) or points[-1] > size:
            self.fail(f"slice_point: {points}, expected {tops - 1} rising values from 1 to {size} for {tops} tops")
        return [end - begin for begin, end in pairwise([0, *points, size])]

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        shape, param = shapes[0], self.param.slice_param
        name = "slice_dim" if param.HasField("slice_dim") else "axis"
        self.along = self.axis(getattr(param, name), shape, name)
        return [(*shape[: self.along], n, *shape[self.along + 1 :]) for n in self._sizes(shape[self.along])]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        parts = bottoms[0].split(self._sizes(bottoms[0].shape[self.along]), self.along)
        return tuple(part.contiguous() for part in parts)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        begin = 0
        for top in tops:
            end = np.iinfo(np.int64).max if top == tops[-1] else begin + graph.size(top, self.along)
            graph.give(graph.slice(bottoms[0], self.along, begin, end), top)
            begin = end
