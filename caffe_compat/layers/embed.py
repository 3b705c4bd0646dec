"""Embed: a row of weights for each index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class Embed(Layer):
    """top[..., :] = weight[bottom[...]] + bias. Weight: (input_dim, num_output), bias: (num_output,)."""

    type = "Embed"
    no_gradient = (0,)

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.embed_param
        for name in ("num_output", "input_dim"):
            if getattr(param, name) < 1:
                self.fail(f"{name}: {getattr(param, name)}, expected a positive number")
        self.add_param((param.input_dim, param.num_output), param.weight_filler)
        if param.bias_term:
            self.add_param((param.num_output,), param.bias_filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [(*shapes[0], self.param.embed_param.num_output)]

    def forward(self, *bottoms: Tensor) -> Tensor:
        index = bottoms[0].detach().to(torch.int64)
        rows = self.params[0].shape[0]
        try:
            top = F.embedding(index, self.params[0])
        except IndexError:
            worst = int(index.min()) if int(index.min()) < 0 else int(index.max())
            self.fail(f"index {worst} out of range; input_dim is {rows}")
        return top + self.params[1] if len(self.params) > 1 else top

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        weight, *bias = graph.params(self, "weight", "bias")
        top = graph.node("Gather", [weight, graph.cast(bottoms[0], np.int64)])
        graph.give(graph.node("Add", [top, *bias]) if bias else top, tops[0])
