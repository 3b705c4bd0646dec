"""Silence: a reader for blobs that nobody else wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Silence(Layer):
    """Takes any bottoms and gives no top, so that they are not outputs of the net; their gradient is 0."""

    type = "Silence"
    num_bottoms = (1, None)
    num_tops = (0, 0)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return []

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        return ()

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        """No top, so nothing to compute."""

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        return [None] * len(need.bottoms), []
