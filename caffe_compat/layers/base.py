"""What every layer is: shapes, parameters, forward, and, where autograd is not what Caffe does, backward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from caffe_compat.errors import CaffeError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Need:
    """Which gradients a backward has to give: one flag for each bottom and for each parameter."""

    bottoms: tuple[bool, ...]
    params: tuple[bool, ...]


Gradients = tuple[list["Tensor | None"], list["Tensor | None"]]  # of the bottoms, of the parameters


class Layer(nn.Module):
    """One layer of a net.

    Life: constructed from its LayerParameter; ``setup`` once, with the bottoms' shapes (checks the fields, makes the
    parameters with their fillers, drawing from the main random stream in Caffe's order); ``reshape`` gives the tops'
    shapes whenever the bottoms' change; ``forward`` computes tops from bottoms.

    Gradients come from autograd through ``forward``, unless the class has ``backward`` (set ``has_backward``): then
    ``forward`` runs without autograd, may keep what it needs in ``self.saved`` and, if ``in_place`` is true and the
    net says so, may overwrite its bottom.
    """

    type: ClassVar[str]  # Caffe's name, the key in the registry
    num_bottoms: ClassVar[tuple[int, int | None]] = (1, 1)  # least and most (None: any number)
    num_tops: ClassVar[tuple[int, int | None]] = (1, 1)
    auto_tops: ClassVar[int] = 0  # tops that are made up to this number if the prototxt names fewer (losses)
    is_loss: ClassVar[bool] = False  # top 0 has loss weight 1 by default
    has_backward: ClassVar[bool] = False
    # Bottoms that can have no gradient (labels): asking for one is an error, as in Caffe.
    no_gradient: ClassVar[tuple[int, ...]] = ()

    def __init__(self, param: Any, phase: int, where: str = "") -> None:
        super().__init__()
        self.param = param  # caffe.LayerParameter
        self.phase = phase  # caffe_pb2.TRAIN or TEST
        self.where = where or f"layer {param.name!r}"
        self.name: str = param.name
        self.blobs = nn.ParameterList()
        self.saved: Any = None
        self.in_place = False  # set by the net: top 0 is bottom 0 and its old value is needed by nobody

    def setup(self, shapes: list[Shape]) -> None:
        """Check the fields and make the parameters. ``shapes``: of the bottoms."""

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        """Shapes of the tops from those of the bottoms."""
        raise NotImplementedError(f"{type(self).__name__}.reshape")

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, diffs: Sequence[Tensor], need: Need) -> Gradients:
        """Gradients of bottoms and parameters from those of the tops; only where ``has_backward``."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def add_param(self, shape: Sequence[int], filler: Any) -> None:
        """Append a parameter blob of that shape, filled by a FillerParameter."""
        from caffe_compat.fillers import fill

        value = fill(filler, tuple(shape), self.fail)
        self.blobs.append(nn.Parameter(torch.from_numpy(value)))

    def fail(self, message: str) -> NoReturn:
        """Raise the one-line error for a mistake in this layer's definition."""
        raise CaffeError(f"{self.where}: {message}")

    def axis(self, axis: int, shape: Shape, field: str = "axis") -> int:
        """A non-negative axis from one that may count from the end."""
        if not -len(shape) <= axis < len(shape):
            self.fail(f"{field}: {axis} is out of range for a bottom with {len(shape)} axes {shape}")
        return axis % len(shape)
