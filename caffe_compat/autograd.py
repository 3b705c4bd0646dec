"""Layers that bring their own backward, as part of an autograd graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caffe_compat.layers.base import Layer, Need, Undifferentiable


class _LayerFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: Layer, num_bottoms: int, *tensors: Tensor) -> Any:
        tops = layer.forward(*tensors[:num_bottoms])
        ctx.layer, ctx.saved, layer.saved = layer, layer.saved, None
        ctx.num_bottoms, ctx.single = num_bottoms, isinstance(tops, Tensor)
        return tops

    @staticmethod
    def backward(ctx: Any, *diffs: Tensor) -> Any:
        flags = ctx.needs_input_grad[2:]
        need = Need(tuple(flags[: ctx.num_bottoms]), tuple(flags[ctx.num_bottoms :]))
        ctx.layer.saved = ctx.saved
        bottoms, params = ctx.layer.backward(diffs, need)
        ctx.layer.saved = None
        return None, None, *bottoms, *params


def apply(layer: Layer, bottoms: list[Tensor]) -> tuple[Tensor, ...]:
    """The layer's tops, joined to the autograd graph of its bottoms and parameters."""
    if layer.has_backward() and not isinstance(layer, Undifferentiable):
        tops = _LayerFunction.apply(layer, len(bottoms), *bottoms, *layer.params)
    else:
        tops = layer(*bottoms)
    return (tops,) if isinstance(tops, Tensor) else tuple(tops)
