"""AbsVal: the absolute value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import NeuronLayer, Shape
from caffe_compat.layers.in_place import refuse_in_place
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class AbsVal(NeuronLayer):
    """top = |bottom|; the gradient at 0 is 0."""

    type = "AbsVal"

    def setup(self, shapes: list[Shape]) -> None:
        refuse_in_place(self)

    def forward(self, *bottoms: Tensor) -> Tensor:
        return bottoms[0].abs()

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.node("Abs", bottoms, tops)
