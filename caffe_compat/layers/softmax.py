"""Softmax along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, Layer, Need, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Softmax(Layer):
    """top = exp(bottom - max) / sum of exp(bottom - max), along ``axis`` (default 1)."""

    type = "Softmax"

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        self.along = self.axis(self.param.softmax_param.axis, shapes[0])
        return shapes

    def forward(self, *bottoms: Tensor) -> Tensor:
        self.saved = torch.softmax(bottoms[0], self.along)
        return self.saved

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        graph.node("Softmax", bottoms, tops, axis=self.along)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        top, diff = self.saved, diffs[0]
        return [(diff - (diff * top).sum(self.along, keepdim=True)) * top], []
