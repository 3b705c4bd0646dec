"""AdaDelta (Zeiler, 2012)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from caffe_compat.solver.update.base import UpdateRule


class AdaDelta(UpdateRule):
    """H = m H + (1 - m) g²; u = g √((U + delta) / (H + delta)); U = m U + (1 - m) u²; W -= rate u, with m = momentum.

    The two histories are the mean squares of gradients, H, and of updates (without the rate), U.
    """

    type = "AdaDelta"
    histories = 2

    def update(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float) -> None:
        gradients, updates = history
        gradients.mul_(self.momentum).addcmul_(diff, diff, value=1 - self.momentum)
        diff.mul_(((updates + self.delta) / (gradients + self.delta)).sqrt_())
        updates.mul_(self.momentum).addcmul_(diff, diff, value=1 - self.momentum)
        weights.sub_(diff.mul_(rate))
