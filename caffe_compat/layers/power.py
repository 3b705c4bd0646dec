"""Power: a power of a linear function."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register


@register
class Power(NeuronLayer):
    """top = (shift + scale * bottom) ^ power."""

    type = "Power"

    def forward(self, *bottoms: Tensor) -> Tensor:
        param = self.param.power_param
        base = param.shift + param.scale * bottoms[0]
        return base if param.power == 1 else base.pow(param.power)
