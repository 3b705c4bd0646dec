"""AbsVal: the absolute value."""

from __future__ import annotations

from torch import Tensor

from caffe_compat.layers.base import NeuronLayer
from caffe_compat.layers.registry import register


@register
class AbsVal(NeuronLayer):
    """top = |bottom|; the gradient at 0 is 0."""

    type = "AbsVal"

    def forward(self, *bottoms: Tensor) -> Tensor:
        return bottoms[0].abs()
