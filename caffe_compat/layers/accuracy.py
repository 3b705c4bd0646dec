"""Accuracy: the share of images whose class is among the top k."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe_compat import parallel
from caffe_compat.layers.base import NEEDS_LABELS, Shape, Undifferentiable
from caffe_compat.layers.labels import check_one_for_each, class_indices
from caffe_compat.layers.multinomial_logistic_loss import LOG_THRESHOLD
from caffe_compat.layers.registry import register


@register
class Accuracy(Undifferentiable):
    """top[0] = share of positions at which fewer than ``top_k`` other classes score as high as the true one or higher.

    A tie therefore counts as wrong (accuracy_layer.cpp). Positions whose label is ``ignore_label`` are left out; if
    all are, the share is 0.
    top[1], if named: the same for each class by itself, 0 for a class that does not occur.

    In 2014 the lowest of the highest-scoring classes was the prediction, and the top held two values, the second the
    mean log loss of the bottom's probabilities, none below 1e-20 (``compat.accuracy_of_two``).
    """

    type = "Accuracy"
    num_bottoms = (2, 2)
    num_tops = (1, 2)
    no_onnx = NEEDS_LABELS

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.accuracy_param
        self.ignore: int | None = param.ignore_label if param.HasField("ignore_label") else None
        self.recordable = not self.compat.accuracy_of_two  # which looks at the scores

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        scores, labels = shapes
        self.along = self.axis(self.param.accuracy_param.axis, scores)
        classes = scores[self.along]
        if self.param.accuracy_param.top_k > classes:
            self.fail(f"top_k: {self.param.accuracy_param.top_k} must not exceed the number of classes, {classes}")
        check_one_for_each(self, scores, labels, self.along)
        if self.compat.accuracy_of_two:
            return [(1, 2, 1, 1)]
        return [(), (classes,)][: len(self.param.top)]

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        scores, labels = bottoms
        classes = scores.shape[self.along]
        index, valid = class_indices(self, labels, classes, self.ignore)
        index = index.reshape([n for i, n in enumerate(scores.shape) if i != self.along]).unsqueeze(self.along)
        if self.compat.accuracy_of_two:
            return self._of_two(scores, index)
        true = scores.gather(self.along, index)
        # The true class itself is one of those that score at least as high.
        right = ((scores >= true).sum(self.along, keepdim=True) <= self.param.accuracy_param.top_k).to(scores.dtype)
        counted = torch.ones_like(right) if valid is None else valid.view(right.shape).to(scores.dtype)
        right = right * counted
        # With several processes labels to ignore, and classes, may be unevenly spread over the parts of a batch.
        whole = parallel.world().sum if valid is not None or len(self.param.top) > 1 else lambda part: part
        overall = whole(right.sum()) / whole(counted.sum()).clamp_min(1)
        if len(self.param.top) == 1:
            return overall
        bins = index.flatten()
        hits = scores.new_zeros(classes).index_add(0, bins, right.flatten())
        seen = scores.new_zeros(classes).index_add(0, bins, counted.flatten())
        return overall, whole(hits) / whole(seen).clamp_min(1)

    def _of_two(self, scores: Tensor, index: Tensor) -> Tensor:
        """Accuracy and log loss; scores that are no probabilities, which Caffe took for them, become such here."""
        right = scores.max(self.along, keepdim=True).indices == index
        total = scores.sum(self.along)
        if bool((scores < 0).any()) or not torch.allclose(total, torch.ones_like(total), atol=1e-3):
            scores = torch.softmax(scores, self.along)
        losses = -scores.gather(self.along, index).clamp_min(LOG_THRESHOLD).log()
        return torch.stack([right.to(scores.dtype).mean(), losses.mean()]).view(1, 2, 1, 1)
