"""Threshold: which values exceed a threshold."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register


@register
class Threshold(NeuronLayer):
    """top = 1 where bottom > threshold, else 0. It has no gradient."""

    type = "Threshold"

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        return (x > self.param.threshold_param.threshold).to(x.dtype)
