"""RMSProp (Tieleman and Hinton, 2012)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from caffe_compat.solver.update.base import UpdateRule


class RMSProp(UpdateRule):
    """H = rms_decay H + (1 - rms_decay) g²; W -= rate g / (√H + delta)."""

    type = "RMSProp"

    def __init__(self, param: Any, source: str = "solver") -> None:
        super().__init__(param, source)
        self.rms_decay: float = param.rms_decay
        if self.momentum:
            self.fail(f"Momentum cannot be used with RMSProp; momentum is {self.momentum:g}")
        if not 0 <= self.rms_decay < 1:
            self.fail(f"rms_decay should lie between 0 and 1; it is {self.rms_decay:g}")

    def update(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float) -> None:
        squares = history[0].mul_(self.rms_decay).addcmul_(diff, diff, value=1 - self.rms_decay)
        diff.div_(squares.sqrt().add_(self.delta)).mul_(rate)
        weights.sub_(diff)
