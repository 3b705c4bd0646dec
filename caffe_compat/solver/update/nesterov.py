"""Nesterov's accelerated gradient."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.solver.update.base import UpdateRule


class Nesterov(UpdateRule):
    """V' = momentum V + rate g; W -= (1 + momentum) V' - momentum V."""

    type = "Nesterov"
    rate_in_history = True

    def update(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float) -> None:
        velocity = history[0]
        step = velocity * -self.momentum
        velocity.mul_(self.momentum).add_(diff, alpha=rate)
        diff.copy_(step.add_(velocity, alpha=1 + self.momentum))
        weights.sub_(diff)
