"""Swish: the self-gated unit."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register


@register
class Swish(NeuronLayer):
    """top = bottom * sigmoid(beta * bottom)."""

    type = "Swish"

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        return x * torch.sigmoid(self.param.swish_param.beta * x)
