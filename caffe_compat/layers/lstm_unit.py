"""LSTMUnit: one time step of an LSTM's gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


def lstm_unit(c: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
    """Next cell and hidden state, (..., n) each.

    ``gates``: (..., 4 n), before their nonlinearities, in the order i, f, o, g; ``cont``: (..., 1), 0 where a sequence
    begins. c' = cont * sigmoid(f) * c + sigmoid(i) * tanh(g); h' = sigmoid(o) * tanh(c').
    """
    i, f, o, g = gates.chunk(4, -1)
    c = cont * torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return c, torch.sigmoid(o) * torch.tanh(c)


def lstm_unit_onnx(graph: Graph, c: str, gates: str, cont: str, n: int) -> tuple[str, str]:
    """``lstm_unit`` as nodes."""
    i, f, o, g = graph.nodes("Split", [gates, graph.integers([n] * 4, "gates")], 4, axis=-1)
    kept = graph.node("Mul", [graph.node("Mul", [cont, graph.node("Sigmoid", [f])]), c])
    added = graph.node("Mul", [graph.node("Sigmoid", [i]), graph.node("Tanh", [g])])
    c = graph.node("Add", [kept, added])
    return c, graph.node("Mul", [graph.node("Sigmoid", [o]), graph.node("Tanh", [c])])


@register
class LSTMUnit(Layer):
    """Bottoms: cell state (1, batch, n), gates (1, batch, 4 n), cont (1, batch). Tops: next cell and hidden state."""

    type = "LSTMUnit"
    num_bottoms = (3, 3)
    num_tops = (2, 2)
    no_gradient = (2,)
    no_split = "its first axis is the time"

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        cell, gates, cont = shapes
        if len(cell) != 3 or gates != (*cell[:2], 4 * cell[2]) or cont != cell[:2]:
            self.fail(f"expected bottoms (1, batch, n), (1, batch, 4 n), (1, batch); got {list(map(list, shapes))}")
        return [cell, cell]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, Tensor]:
        cell, gates, cont = bottoms
        return lstm_unit(cell, gates, cont.unsqueeze(-1))

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        cell, gates, cont = bottoms
        found = lstm_unit_onnx(graph, cell, gates, graph.unsqueeze(cont, [2]), graph.size(cell, 2))
        for value, top in zip(found, tops):
            graph.give(value, top)
