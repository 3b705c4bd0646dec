"""ContrastiveLoss of a siamese pair."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, LossLayer, Need, Shape
from caffe_compat.layers.registry import register


@register
class ContrastiveLoss(LossLayer):
    """top = sum of (y d² + (1 - y) max(margin - d, 0)²) / (2 num), d = |bottom 0 - bottom 1|, y = bottom 2.

    ``legacy_version``: max(margin - d², 0) for the pairs that differ. In the gradient Caffe divides by d + 1e-4.
    """

    type = "ContrastiveLoss"
    num_bottoms = (3, 3)
    no_gradient = (2,)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        a, b, y = shapes
        flat = all(size == 1 for shape in (a, b) for size in shape[2:])
        if not a or a[:2] != b[:2] or not flat or y[:1] != a[:1] or any(size != 1 for size in y[1:]):
            self.fail(f"expected bottoms (num, channels) twice and (num); got {list(a)}, {list(b)}, {list(y)}")
        return super().reshape(shapes)

    def forward(self, *bottoms: Tensor) -> Tensor:
        a, b, y = (bottom.reshape(bottom.shape[0], math.prod(bottom.shape[1:])) for bottom in bottoms)
        param = self.param.contrastive_loss_param
        diff, similar = a - b, y.to(torch.int64) != 0
        squared = diff.square().sum(1, keepdim=True)
        if param.legacy_version:
            apart, slope = torch.relu(param.margin - squared), (squared < param.margin).to(diff)
        else:
            distance = squared.sqrt()
            gap = torch.relu(param.margin - distance)
            apart, slope = gap.square(), gap / (distance + 1e-4)
        self.saved = (bottoms[0].shape, diff, similar, slope)
        return torch.where(similar, squared, apart).sum() / (2 * len(diff))

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        shape, diff, similar, slope = self.saved
        grad = (torch.where(similar, diff, -slope * diff) * (diffs[0] / len(diff))).view(shape)
        return [grad, -grad, None], []
