"""SoftmaxWithLoss: multinomial logistic loss of a softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from caffe_compat import net_log
from caffe_compat.layers.base import Gradients, LossLayer, Need, Shape
from caffe_compat.layers.labels import check_one_for_each, check_same_images, class_indices
from caffe_compat.layers.normalization import normalizer
from caffe_compat.layers.registry import register

FLT_MIN = float(np.finfo(np.float32).tiny)  # smallest probability whose logarithm is taken


@register
class SoftmaxWithLoss(LossLayer):
    """top[0] = - sum of log(max(p[label], FLT_MIN)) / normalizer, p the softmax along ``softmax_param.axis``.

    The gradient is (p - onehot(label)) * loss weight / normalizer, 0 where the label is ``ignore_label``.
    Bottoms: scores, and labels with one value for each position. A second top gets p.
    """

    type = "SoftmaxWithLoss"
    num_tops = (1, 2)

    def setup(self, shapes: list[Shape]) -> None:
        net_log.creating(self.name)  # Caffe's contains a Softmax
        loss = self.param.loss_param
        self.ignore: int | None = loss.ignore_label if loss.HasField("ignore_label") else None
        self.recordable = self.ignore is None  # else the divisor is fetched

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        check_same_images(self, shapes)
        scores, labels = shapes
        self.along = self.axis(self.param.softmax_param.axis, scores)
        check_one_for_each(self, scores, labels, self.along)
        return [(), scores][: max(1, len(self.param.top))]

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        scores, labels = bottoms
        prob = torch.softmax(scores, self.along)
        index, valid = class_indices(self, labels, scores.shape[self.along], self.ignore)
        index = index.reshape([n for i, n in enumerate(scores.shape) if i != self.along]).unsqueeze(self.along)
        losses = -prob.gather(self.along, index).clamp_min(FLT_MIN).log()
        if valid is not None:
            valid = valid.view(index.shape)
            losses = losses.masked_fill(~valid, 0)
        outer = math.prod(scores.shape[: self.along])
        divisor = normalizer(self.param.loss_param, outer, losses.numel() // max(1, outer), valid)
        self.saved = (prob, index, valid, divisor)
        loss = losses.sum() / divisor
        return (loss, prob) if len(self.param.top) == 2 else loss

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        if need.bottoms[1]:
            self.fail("SoftmaxWithLoss cannot backpropagate to label inputs")
        prob, index, valid, divisor = self.saved
        grad = prob.scatter_add(self.along, index, prob.new_full((), -1.0).expand(index.shape))
        if valid is not None:
            grad.masked_fill_(~valid, 0)
        return [grad.mul_(diffs[0] / divisor), None], []
