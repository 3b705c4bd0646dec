"""ArgMax: the indices of the largest values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from caffe_compat.layers.base import Shape, Undifferentiable
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


@register
class ArgMax(Undifferentiable):
    """The ``top_k`` largest, in falling order; of equal values the one with the higher index comes first.

    With ``axis``: along it, its size becoming top_k; the values themselves with ``out_max_val``. Without: over all of
    an image, giving (num, 1, top_k), or (num, 2, top_k) of indices and values with ``out_max_val``.
    """

    type = "ArgMax"

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        param, shape = self.param.argmax_param, shapes[0]
        if not shape:
            self.fail("the bottom has no axes; expected at least one")
        self.along = self.axis(param.axis, shape) if param.HasField("axis") else None
        size = math.prod(shape[1:]) if self.along is None else shape[self.along]
        if not 1 <= param.top_k <= size:
            self.fail(f"top_k: {param.top_k}, expected 1 to {size}, the number of values to choose from")
        if self.along is not None:
            return [(*shape[: self.along], param.top_k, *shape[self.along + 1 :])]
        return [(shape[0], 2 if param.out_max_val else 1, param.top_k, *[1] * (len(shape) - 3))]

    def forward(self, *bottoms: Tensor) -> Tensor:
        (x,) = bottoms
        param = self.param.argmax_param
        values = x.unsqueeze(-1).flatten(1) if self.along is None else x
        along = 1 if self.along is None else self.along
        # Sorting the reversed values stably puts the higher of two equal ones' indices first.
        order = values.flip(along).argsort(dim=along, descending=True, stable=True).narrow(along, 0, param.top_k)
        index = values.shape[along] - 1 - order
        best = values.gather(along, index)
        if self.along is not None:
            return best if param.out_max_val else index.to(x.dtype)
        parts = [index.to(x.dtype), best] if param.out_max_val else [index.to(x.dtype)]
        return torch.stack(parts, 1).view(self.reshape([tuple(x.shape)])[0])

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        """One round for each of the ``top_k``. With TopK, every runtime would have its own order of equal values."""
        param, (x,) = self.param.argmax_param, bottoms
        axes = 2 if self.along is None else len(graph.dims(x))
        size = math.prod(graph.sizes(x, 1)) if self.along is None else graph.size(x, self.along)
        values, along = (graph.node("Flatten", [x]), 1) if self.along is None else (x, self.along)
        places = graph.constant(np.arange(size, dtype=np.float32).reshape(-1, *[1] * (axes - along - 1)), "places")
        nowhere = graph.constant(np.float32(-1), "nowhere")
        best: list[str] = []
        index: list[str] = []
        for _ in range(param.top_k):
            if index:
                taken, lowest = graph.node("Equal", [places, index[-1]]), graph.constant(np.float32(-np.inf), "lowest")
                values = graph.node("Where", [taken, lowest, values])
            best.append(graph.node("ReduceMax", [values], axes=[along]))
            candidates = graph.node("Where", [graph.node("Equal", [values, best[-1]]), places, nowhere])
            index.append(graph.node("ReduceMax", [candidates], axes=[along]))
        if self.along is not None:
            graph.node("Concat", best if param.out_max_val else index, tops, axis=along)
        else:
            found = graph.node("Concat", [*index, *best] if param.out_max_val else index, axis=1)
            graph.reshape(found, graph.dims(tops[0]), tops)
