"""EuclideanLoss: half the mean squared distance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from caffe_compat.layers.base import Gradients, LossLayer, Need, Shape
from caffe_compat.layers.registry import register


@register
class EuclideanLoss(LossLayer):
    """top = sum of (bottom[0] - bottom[1])² / (2 N), N the first axis of the bottoms. Both bottoms get a gradient."""

    type = "EuclideanLoss"
    no_gradient = ()

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        a, b = shapes
        if not a or a[:1] != b[:1] or math.prod(a) != math.prod(b):
            self.fail(f"Inputs must have the same dimension; bottoms have the shapes {list(a)} and {list(b)}")
        return [()]

    def forward(self, *bottoms: Tensor) -> Tensor:
        a, b = bottoms
        self.saved = a - b.reshape(a.shape)
        flat = self.saved.flatten()
        return flat.dot(flat) / (2 * len(a))

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        grad = self.saved * (diffs[0] / len(self.saved))
        return [grad if need.bottoms[0] else None, -grad if need.bottoms[1] else None], []
