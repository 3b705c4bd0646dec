"""AdaGrad (Duchi et al., 2011)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from caffe_compat.solver.update.base import UpdateRule


class AdaGrad(UpdateRule):
    """H += g²; W -= rate g / (√H + delta)."""

    type = "AdaGrad"

    def __init__(self, param: Any, source: str = "solver") -> None:
        super().__init__(param, source)
        if self.momentum:
            self.fail(f"Momentum cannot be used with AdaGrad; momentum is {self.momentum:g}")

    def update(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float) -> None:
        squares = history[0].addcmul_(diff, diff)
        diff.div_(squares.sqrt().add_(self.delta)).mul_(rate)
        weights.sub_(diff)
