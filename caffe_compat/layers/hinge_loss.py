"""HingeLoss: one against all."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe_compat.layers.base import LossLayer, Shape
from caffe_compat.layers.labels import check_same_images, class_indices
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2


@register
class HingeLoss(LossLayer):
    """top = sum of max(0, 1 - s * bottom) ^ p / num, s = 1 for the true class and -1 for the others; p = 1 or 2."""

    type = "HingeLoss"

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        check_same_images(self, shapes)
        return [()]

    def forward(self, *bottoms: Tensor) -> Tensor:
        x = bottoms[0].unsqueeze(-1).flatten(1)
        index, _ = class_indices(self, bottoms[1].reshape(-1)[: len(x)], x.shape[1], None)
        sign = torch.ones_like(x).scatter(1, index[:, None], -1.0)
        margin = torch.relu(1 + sign * x)
        squared = self.param.hinge_loss_param.norm == caffe_pb2.HingeLossParameter.L2
        return (margin.square() if squared else margin).sum() / len(x)
