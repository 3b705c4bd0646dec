"""ELU: the exponential linear unit."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register


@register
class ELU(NeuronLayer):
    """top = bottom where bottom > 0, else alpha * (exp(bottom) - 1)."""

    type = "ELU"

    def forward(self, *bottoms: Tensor) -> Tensor:
        return F.elu(bottoms[0], self.param.elu_param.alpha)
