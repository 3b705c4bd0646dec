"""Crop: the part of one blob that has the size of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Crop(Layer):
    """Bottom 0 cut to bottom 1's size on all axes from ``axis`` on (default 2), beginning at ``offset``.

    One offset serves all those axes; the default is 0.
    """

    type = "Crop"
    num_bottoms = (2, 2)
    no_gradient = (1,)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        param, (shape, reference) = self.param.crop_param, shapes
        first = self.axis(param.axis, shape)
        cropped = len(shape) - first
        if len(param.offset) not in (0, 1, cropped):
            self.fail(f"offset has {len(param.offset)} values; expected 1 or {cropped}, one for each axis cropped")
        offsets = list(param.offset) or [0]
        self.offsets = [0] * first + (offsets * cropped if len(offsets) == 1 else offsets)
        if len(reference) < len(shape):
            self.fail(f"bottom 1 of shape {list(reference)} has fewer axes than bottom 0 of shape {list(shape)}")
        result = (*shape[:first], *reference[first : len(shape)])
        for axis, (size, offset, have) in enumerate(zip(result, self.offsets, shape)):
            if size + offset > have:
                self.fail(
                    f"the crop for axis {axis} is out of bounds: {size} at offset {offset}, the bottom has {have}"
                )
        return [result]

    def forward(self, *bottoms: Tensor) -> Tensor:
        x, reference = bottoms
        for axis, size in enumerate(self.reshape([tuple(x.shape), tuple(reference.shape)])[0]):
            x = x.narrow(axis, self.offsets[axis], size)
        return x.contiguous()

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        first = self.param.crop_param.axis % len(graph.dims(bottoms[0]))
        sizes, begins = graph.sizes(tops[0], first), self.offsets[first:]
        ends = [begin + size for begin, size in zip(begins, sizes)]
        axes = range(first, first + len(sizes))
        limits = [graph.integers(values, name) for values, name in ((begins, "begins"), (ends, "ends"), (axes, "axes"))]
        graph.node("Slice", [bottoms[0], *limits], tops)
