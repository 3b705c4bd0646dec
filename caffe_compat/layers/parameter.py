"""Parameter: a learned blob that is nobody's weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.blob import Blob
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Parameter(Layer):
    """top = the layer's parameter, of ``shape``; it begins at 0."""

    type = "Parameter"
    recordable = False
    num_bottoms = (0, 0)

    def setup(self, shapes: list[Shape]) -> None:
        self.add_param(tuple(self.param.parameter_param.shape.dim), caffe_pb2.FillerParameter(type="constant"))

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [tuple(self.params[0].shape)]

    def make_top(self, index: int, shape: Shape) -> Blob:
        """The parameter itself: they share values and gradient, as in Caffe."""
        return self.blobs[0]

    def forward(self, *bottoms: Tensor) -> Tensor:
        return self.params[0]

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.alias(tops[0], *graph.params(self, "values"))
