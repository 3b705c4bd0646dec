"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.solver.update.base import Param, UpdateRule


class SGD(UpdateRule):
    """V = momentum V + rate g; W -= V.

    The rate lies inside V, so after a drop of the rate the momentum gathered at the old one lives on. torch's SGD
    multiplies by the rate outside, which is another trajectory.
    """

    type = "SGD"
    rate_in_history = True

    def apply(self, params: Sequence[Param], rate: float, decay: float) -> None:
        """As the base, in one pass over memory where the kernel of torch.optim.SGD can be made to say it.

        The kernel computes V = momentum V + (1 - dampening) (g + decay W); W -= lr V. It keeps no V without momentum,
        and takes elements as they lie in memory.
        """
        fused: list[Param] = []
        others: list[Param] = []
        possible = self.momentum != 0 and not (decay and self.l1)
        for weights, diff, history in params:
            alike = weights.stride() == diff.stride() == history[0].stride()
            (fused if possible and alike else others).append((weights, diff, history))
        super().apply(others, rate, decay)
        if not fused:
            return
        diffs, velocities = [diff for _, diff, _ in fused], [history[0] for _, _, history in fused]
        torch._fused_sgd_(
            [weights for weights, _, _ in fused],
            diffs,
            velocities,
            weight_decay=decay,
            momentum=self.momentum,
            lr=1.0,
            dampening=1.0 - rate,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
        torch._foreach_copy_(diffs, velocities)

    def update(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float) -> None:
        velocity = history[0].mul_(self.momentum).add_(diff, alpha=rate)
        weights.sub_(diff.copy_(velocity))
