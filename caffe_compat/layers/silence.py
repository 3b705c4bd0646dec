"""Silence: a reader for blobs that nobody else wants."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register


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

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        return [None] * len(need.bottoms), []
