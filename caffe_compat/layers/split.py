"""Split: one blob for several readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Split(Layer):
    """Every top is the bottom; the bottom's gradient is the sum of the tops'. Nets insert these layers themselves."""

    type = "Split"
    follows_dtype = True
    num_tops = (1, None)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return shapes * len(self.param.top)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return bottoms * len(self.param.top)

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        for top in tops:
            graph.alias(top, bottoms[0])

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        total = diffs[0].clone() if len(diffs) == 1 else diffs[0] + diffs[1]
        for diff in diffs[2:]:
            total += diff
        return [total], []
