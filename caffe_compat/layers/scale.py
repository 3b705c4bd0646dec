"""Scale: multiplication by a blob with fewer axes, with or without a bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat import net_log
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.broadcast import check_fit, check_second_bottom, covered_axes, spread
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Scale(Layer):
    """top = scale * bottom + bias; scale is a parameter over ``num_axes`` axes from ``axis`` on, or the second bottom.

    Parameters: scale (unless there is a second bottom), then bias with ``bias_term``.
    """

    type = "Scale"
    num_bottoms = (1, 2)

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.scale_param
        if len(shapes) == 2:
            self.first = check_second_bottom(self, param.axis, shapes)
            covered = shapes[1]
        else:
            self.first, end = covered_axes(self, param.axis, param.num_axes, shapes[0])
            covered = shapes[0][self.first : end]
            one = caffe_pb2.FillerParameter(type="constant", value=1)
            self.add_param(covered, param.filler if param.HasField("filler") else one)
        if param.bias_term:
            net_log.creating(self.name)  # Caffe's contains a Bias
            self.add_param(covered, param.bias_filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        for covered in [*shapes[1:], *(tuple(parameter.shape) for parameter in self.params)]:
            check_fit(self, covered, self.first, shapes[0])
        return shapes[:1]

    def forward(self, *bottoms: Tensor) -> Tensor:
        x, scale = bottoms if len(bottoms) > 1 else (bottoms[0], self.params[0])
        top = x * spread(scale, self.first, x)
        return top.add_(spread(self.params[-1], self.first, x)) if self.param.scale_param.bias_term else top

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        axes = len(graph.dims(bottoms[0])) - self.first
        if len(bottoms) > 1:
            rank = len(graph.dims(bottoms[1]))
            scale, bias = graph.unsqueeze(bottoms[1], range(rank, axes)), graph.params(self, "bias", ones=axes - rank)
        else:
            scale, *bias = graph.params(self, "scale", "bias", ones=axes - self.params[0].dim())
        y = graph.node("Mul", [bottoms[0], scale])
        graph.give(graph.node("Add", [y, *bias]) if bias else y, tops[0])
