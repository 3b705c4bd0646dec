"""Tile: copies of a blob along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Tile(Layer):
    """top = ``tiles`` copies of the bottom one behind the other along ``axis``; the gradient is summed over them."""

    type = "Tile"

    def setup(self, shapes: list[Shape]) -> None:
        if self.param.tile_param.tiles < 1:
            self.fail(f"tiles: {self.param.tile_param.tiles}, expected a positive number")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        shape = list(shapes[0])
        self.along = self.axis(self.param.tile_param.axis, shapes[0])
        shape[self.along] *= self.param.tile_param.tiles
        return [tuple(shape)]

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        repeats = [1] * x.dim()
        repeats[self.along] = self.param.tile_param.tiles
        return x.repeat(repeats)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        repeats = [1] * len(graph.dims(bottoms[0]))
        repeats[self.along] = self.param.tile_param.tiles
        graph.node("Tile", [*bottoms, graph.integers(repeats, "repeats")], tops)
