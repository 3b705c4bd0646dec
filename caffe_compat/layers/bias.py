"""Bias: addition of a blob with fewer axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.broadcast import check_fit, check_second_bottom, covered_axes, spread
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Bias(Layer):
    """top = bottom + bias; bias is a parameter over ``num_axes`` axes from ``axis`` on, or the second bottom."""

    type = "Bias"
    num_bottoms = (1, 2)

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.bias_param
        if len(shapes) == 2:
            self.first = check_second_bottom(self, param.axis, shapes)
        else:
            self.first, end = covered_axes(self, param.axis, param.num_axes, shapes[0])
            self.add_param(shapes[0][self.first : end], param.filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        covered = shapes[1] if len(shapes) > 1 else tuple(self.params[0].shape)
        check_fit(self, covered, self.first, shapes[0])
        return shapes[:1]

    def forward(self, *bottoms: Tensor) -> Tensor:
        x, bias = bottoms if len(bottoms) > 1 else (bottoms[0], self.params[0])
        return x + spread(bias, self.first, x)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        ones = len(graph.dims(bottoms[0])) - self.first
        if len(bottoms) > 1:
            rank = len(graph.dims(bottoms[1]))
            bias = graph.unsqueeze(bottoms[1], range(rank, ones))
        else:
            (bias,) = graph.params(self, "bias", ones=ones - self.params[0].dim())
        graph.node("Add", [bottoms[0], bias], tops)
