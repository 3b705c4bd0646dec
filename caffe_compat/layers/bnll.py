"""BNLL: the smooth rectifier."""

from __future__ import annotations

import torch
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register


@register
class BNLL(NeuronLayer):
    """top = log(1 + exp(bottom)), without overflow for large bottoms."""

    type = "BNLL"

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        return torch.logaddexp(x, torch.zeros_like(x))
