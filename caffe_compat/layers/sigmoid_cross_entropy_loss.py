"""SigmoidCrossEntropyLoss: independent yes-or-no targets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, LossLayer, Need, Shape
from caffe_compat.layers.labels import check_same_images
from caffe_compat.layers.normalization import normalizer
from caffe_compat.layers.registry import register
from caffe_compat.proto import caffe_pb2


@register
class SigmoidCrossEntropyLoss(LossLayer):
    """top = - sum of (t log p + (1 - t) log(1 - p)) / normalizer, p = sigmoid(bottom 0), t = bottom 1.

    The gradient is (p - t) / normalizer, 0 where t is ``ignore_label``. Unlike the other losses this one is divided by
    the batch size unless ``loss_param`` says otherwise.
    """

    type = "SigmoidCrossEntropyLoss"

    def setup(self, shapes: list[Shape]) -> None:
        loss = self.param.loss_param
        self.ignore: int | None = loss.ignore_label if loss.HasField("ignore_label") else None
        self.recordable = self.ignore is None  # else the divisor is fetched
        self.loss_param = caffe_pb2.LossParameter()
        self.loss_param.CopyFrom(loss)
        if not loss.HasField("normalization") and not loss.HasField("normalize"):
            self.loss_param.normalization = caffe_pb2.LossParameter.BATCH_SIZE

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        check_same_images(self, shapes)
        if math.prod(shapes[0]) != math.prod(shapes[1]):
            self.fail(f"inputs must have the same count; got shapes {list(shapes[0])} and {list(shapes[1])}")
        return [()]

    def forward(self, *bottoms: Tensor) -> Tensor:
        x, target = bottoms[0], bottoms[1].view(bottoms[0].shape)
        # log p and log(1 - p) in the form that does not overflow.
        losses = torch.relu(x) - x * target + torch.log1p(torch.exp(-x.abs()))
        grad, valid = torch.sigmoid(x) - target, None
        if self.ignore is not None:
            valid = target.to(torch.int64) != self.ignore
            losses, grad = losses.masked_fill(~valid, 0), grad.masked_fill(~valid, 0)
        divisor = normalizer(self.loss_param, x.shape[0], x.numel() // max(1, x.shape[0]), valid)
        self.saved = (grad, divisor)
        return losses.sum() / divisor

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        grad, divisor = self.saved
        return [grad * (diffs[0] / divisor), None], []
