"""The loss that a solver prints: the mean of the last ``average_loss`` iterations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

_MOST_PENDING = 256  # losses left on the device before they are fetched


class SmoothedLoss:
    """A running mean in float32, in Caffe's order of operations (Solver::UpdateSmoothedLoss).

    Losses stay on their device until the mean is asked for, so that a GPU is not made to wait at every iteration.
    """

    def __init__(self, size: int) -> None:
        """``size``: average_loss, the number of losses in a full mean."""
        self.size = size
        self._pending: list[Tensor] = []
        self._last: list[np.float32] = []  # a ring of the last ``size`` losses
        self._count = 0
        self._mean = np.float32(0)

    def add(self, loss: Tensor) -> None:
        """Take the loss of an iteration, a float32 scalar."""
        self._pending.append(loss)
        if len(self._pending) >= _MOST_PENDING:
            self._fetch()

    @property
    def value(self) -> float:
        """The mean of the losses so far, at most the last ``size``; 0 before the first."""
        self._fetch()
        return float(self._mean)

    def get_state(self) -> dict[str, Any]:
        """What ``set_state`` takes, in terms of JSON."""
        self._fetch()
        return {"last": [float(loss) for loss in self._last], "count": self._count, "mean": float(self._mean)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of a mean over as many losses."""
        self._pending.clear()
        self._last = [np.float32(loss) for loss in state["last"]]
        self._count, self._mean = state["count"], np.float32(state["mean"])

    def _fetch(self) -> None:
        if not self._pending:
            return
        for loss in torch.stack(self._pending).cpu().numpy():
            if len(self._last) < self.size:
                self._last.append(loss)
                filled = np.float32(len(self._last))
                self._mean = (self._mean * (filled - 1) + loss) / filled
            else:
                oldest = self._count % self.size
                self._mean += (loss - self._last[oldest]) / np.float32(self.size)
                self._last[oldest] = loss
            self._count += 1
        self._pending.clear()
