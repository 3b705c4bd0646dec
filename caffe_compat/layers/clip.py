"""Clip: values kept within bounds."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register


@register
class Clip(NeuronLayer):
    """top = min(max(bottom, min), max); the gradient passes where bottom is within the bounds, ends included."""

    type = "Clip"

    def forward(self, *bottoms: Tensor) -> Tensor:
        clip = self.param.clip_param
        return bottoms[0].clamp(clip.min, clip.max)
