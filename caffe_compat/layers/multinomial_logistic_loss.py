"""MultinomialLogisticLoss: the loss of probabilities that somebody else has computed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.layers.base import Gradients, LossLayer, Need, Shape
from caffe_compat.layers.labels import check_same_images, class_indices
from caffe_compat.layers.registry import register

LOG_THRESHOLD = 1e-20  # smallest probability whose logarithm is taken (Caffe's kLOG_THRESHOLD)


@register
class MultinomialLogisticLoss(LossLayer):
    """top = - sum of log(p) / num with p = max(bottom[label], 1e-20); bottom: probabilities, (num, classes).

    The gradient is - 1 / (p * num) at the label, so it does not vanish where the probability was raised.
    """

    type = "MultinomialLogisticLoss"

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        check_same_images(self, shapes)
        if math.prod(shapes[1]) != shapes[0][0]:
            self.fail(f"bottom 1 has the shape {list(shapes[1])}; expected one label for each of {shapes[0][0]} images")
        return [()]

    def forward(self, *bottoms: Tensor) -> Tensor:
        prob = bottoms[0].unsqueeze(-1).flatten(1)
        index, _ = class_indices(self, bottoms[1].reshape(-1), prob.shape[1], None)
        true = prob.gather(1, index[:, None]).clamp_min(LOG_THRESHOLD)
        self.saved = (bottoms[0].shape, prob, index, true)
        return -true.log().sum() / len(prob)

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        shape, prob, index, true = self.saved
        grad = torch.zeros_like(prob).scatter(1, index[:, None], -diffs[0] / len(prob) / true)
        return [grad.view(shape), None], []
