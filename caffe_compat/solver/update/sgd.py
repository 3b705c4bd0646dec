"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from caffe_compat.solver.update.base import UpdateRule


class SGD(UpdateRule):
    """V = momentum V + rate g; W -= V.

    The rate lies inside V, so after a drop of the rate the momentum gathered at the old one lives on. torch's SGD
    multiplies by the rate outside, which is another trajectory.
    """

    type = "SGD"
    rate_in_history = True

    def apply(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float, decay: float) -> None:
        """As the base, in one pass over memory where the kernel of torch.optim.SGD can be made to say it.

        The kernel computes V = momentum V + (1 - dampening) (g + decay W); W -= lr V. It keeps no V without momentum,
        and takes elements as they lie in memory.
        """
        alike = weights.stride() == diff.stride() == history[0].stride()
        if self.momentum == 0 or (decay and self.l1) or not alike:
            return super().apply(weights, diff, history, rate, decay)
        torch._fused_sgd_(
            [weights],
            [diff],
            [history[0]],
            weight_decay=decay,
            momentum=self.momentum,
            lr=1.0,
            dampening=1.0 - rate,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
        diff.copy_(history[0])

    def update(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float) -> None:
        velocity = history[0].mul_(self.momentum).add_(diff, alpha=rate)
        weights.sub_(diff.copy_(velocity))
