"""Adam (Kingma and Ba, 2015)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from caffe_compat.solver.update.base import UpdateRule


class Adam(UpdateRule):
    """M = b1 M + (1 - b1) g; V = b2 V + (1 - b2) g²; W -= rate √(1 - b2ᵗ) / (1 - b1ᵗ) · M / (√V + delta).

    b1 = momentum, b2 = momentum2, t = updates so far including this one. delta is added to the uncorrected √V, as in
    the "epsilon hat" form of the paper.
    """

    type = "Adam"
    histories = 2

    def __init__(self, param: Any, source: str = "solver") -> None:
        super().__init__(param, source)
        self.momentum2: float = param.momentum2
        self.correction = 1.0
        for field in ("momentum", "momentum2"):
            if not 0 <= getattr(param, field) < 1:
                self.fail(f"Adam needs {field} in [0, 1), not {getattr(param, field):g}")

    def begin(self, iteration: int) -> None:
        time = iteration + 1
        self.correction = math.sqrt(1 - self.momentum2**time) / (1 - self.momentum**time)

    def update(self, weights: Tensor, diff: Tensor, history: Sequence[Tensor], rate: float) -> None:
        mean, squares = history
        mean.mul_(self.momentum).add_(diff, alpha=1 - self.momentum)
        squares.mul_(self.momentum2).addcmul_(diff, diff, value=1 - self.momentum2)
        diff.copy_(mean).div_(squares.sqrt().add_(self.delta)).mul_(rate * self.correction)
        weights.sub_(diff)
