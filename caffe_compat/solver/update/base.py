"""What every update rule is: a function of one parameter, its gradient, its history and a rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from caffe_compat.errors import CaffeError

Param = tuple[Tensor, Tensor, Sequence[Tensor]]  # weights, diff, history: all of one shape


class UpdateRule:
    """A solver type's rule (Caffe's Regularize, ComputeUpdateValue and Blob::Update for one parameter)."""

    type: ClassVar[str]  # SolverParameter.type
    histories: ClassVar[int] = 1  # tensors kept for each parameter, each of its shape
    # The rate lies inside the history: with rate 0 a history of zeros stays so, whatever the gradient.
    rate_in_history: ClassVar[bool] = False

    def __init__(self, param: Any, source: str = "solver") -> None:
        """``param``: a SolverParameter; ``source`` names it in errors. Raises CaffeError for unusable fields."""
        self.source = source
        self.momentum: float = param.momentum
        self.delta: float = param.delta
        self.l1: bool = param.regularization_type == "L1"
        if param.weight_decay and param.regularization_type not in ("L1", "L2"):
            self.fail(f"Unknown regularization type: {param.regularization_type!r}; known: L1, L2")

    def apply(self, params: Sequence[Param], rate: float, decay: float) -> None:
        """Regularize, then update, parameters of the same rate and decay; see ``update``.

        ``decay``: weight_decay times the parameters' decay_mult.
        """
        for weights, diff, history in params:
            if decay:
                diff.add_(torch.sign(weights) if self.l1 else weights, alpha=decay)
            self.update(weights, diff, history, rate)

    def update(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float) -> None:
        """Move ``weights`` and ``history`` in place; leave in ``diff`` what was subtracted, as Caffe does.

        All tensors are float32 of one shape; ``rate`` is the learning rate times the parameter's lr_mult.
        """
        raise NotImplementedError(f"{type(self).__name__}.update")

    def begin(self, iteration: int) -> None:
        """Called once before the parameters of an update, with the number of updates done."""

    def fail(self, message: str) -> NoReturn:
        raise CaffeError(f"{self.source}: {message}")
