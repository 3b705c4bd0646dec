"""InfogainLoss: multinomial logistic loss in which mistakes weigh differently."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat import net_log
from caffe_compat.errors import CaffeError
from caffe_compat.layers.base import Gradients, LossLayer, Need, Shape
from caffe_compat.layers.labels import check_one_for_each, check_same_images, class_indices
from caffe_compat.layers.multinomial_logistic_loss import LOG_THRESHOLD
from caffe_compat.layers.normalization import normalizer
from caffe_compat.layers.registry import register
from caffe_compat.proto import binary, raw_blobs


@register
class InfogainLoss(LossLayer):
    """top = - sum over k of H[label, k] * log(max(p[k], 1e-20)) / normalizer, p the softmax of bottom along ``axis``.

    H, the infogain matrix (classes, classes), is the third bottom or the BlobProto file ``source``. The gradient is
    p * (row sum of H[label]) - H[label], 0 where the label is ignored. A second top gets p.
    """

    type = "InfogainLoss"
    num_bottoms = (2, 3)
    num_tops = (1, 2)
    no_gradient = (1, 2)

    def setup(self, shapes: list[Shape]) -> None:
        net_log.creating(self.name)  # Caffe's contains a Softmax
        param, loss = self.param.infogain_loss_param, self.param.loss_param
        if loss.HasField("normalize"):
            self.fail('loss_param.normalize: InfogainLoss knows "normalization" only')
        self.ignore: int | None = loss.ignore_label if loss.HasField("ignore_label") else None
        self.recordable = self.ignore is None  # else the divisor is fetched
        self.matrix: Tensor | None = None
        if len(shapes) < 3:
            if not param.source:
                self.fail("infogain_loss_param.source is missing; expected the file of H, or H as the third bottom")
            self.matrix = self._read_matrix(param.source)

    def _read_matrix(self, source: str) -> Tensor:
        """H, float32, in the shape that its file gives it."""
        try:
            blob = binary.read(source, raw_blobs.message_class("BlobProto"))
            return torch.from_numpy(raw_blobs.to_array(blob).copy())
        except CaffeError as error:  # names the file
            self.fail(f"infogain_loss_param.source: {error}")
        except ValueError as error:
            self.fail(f"infogain_loss_param.source: {source}: {error}")

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        check_same_images(self, shapes)
        scores, labels = shapes[:2]
        self.along = self.axis(self.param.infogain_loss_param.axis, scores)
        check_one_for_each(self, scores, labels, self.along)
        size = math.prod(shapes[2]) if len(shapes) > 2 else self.matrix.numel() if self.matrix is not None else 0
        if size != scores[self.along] ** 2:
            self.fail(f"H has {size} values; expected {scores[self.along]} x {scores[self.along]}")
        return [(), scores][: max(1, len(self.param.top))]

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        scores, labels = bottoms[:2]
        classes = scores.shape[self.along]
        if self.matrix is not None:
            self.matrix = self.matrix.to(scores)  # once, since a copy would have to wait for the device
        matrix = (bottoms[2] if self.matrix is None else self.matrix).reshape(classes, classes)
        prob = torch.softmax(scores, self.along)
        index, valid = class_indices(self, labels, classes, self.ignore)
        rows = matrix[index.flatten()]  # (positions, classes)
        if valid is not None:
            rows = rows * valid.view(-1, 1).to(rows)
        flat = prob.movedim(self.along, -1)
        weight = rows.view(flat.shape)
        outer = math.prod(scores.shape[: self.along])
        divisor = normalizer(self.param.loss_param, outer, index.numel() // max(1, outer), valid)
        self.saved = (flat, weight, divisor)
        loss = -(weight * flat.clamp_min(LOG_THRESHOLD).log()).sum() / divisor
        return (loss, prob) if len(self.param.top) == 2 else loss

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        flat, weight, divisor = self.saved
        grad = (flat * weight.sum(-1, keepdim=True) - weight) * (diffs[0] / divisor)
        return [grad.movedim(-1, self.along).contiguous(), *[None] * (len(need.bottoms) - 1)], []
