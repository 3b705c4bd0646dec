"""The smoothed loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caffe_compat.solver.loss import SmoothedLoss

losses = st.lists(st.floats(0, 10, width=32), min_size=1, max_size=40)


@given(losses, st.integers(1, 7), st.integers(1, 5))
def test_is_the_mean_of_the_last_ones(values: list[float], size: int, every: int) -> None:
    """Asking for it, now and then, changes nothing."""
    smoothed = SmoothedLoss(size)
    for i, value in enumerate(values):
        smoothed.add(torch.tensor(value))
        if i % every == 0:
            assert smoothed.value == pytest.approx(np.mean(values[: i + 1][-size:]), rel=1e-4, abs=1e-4)
    assert smoothed.value == pytest.approx(np.mean(values[-size:]), rel=1e-4, abs=1e-4)


def test_is_zero_at_first() -> None:
    assert SmoothedLoss(3).value == 0


def test_does_not_keep_more_than_it_needs() -> None:
    smoothed = SmoothedLoss(2)
    for i in range(1000):
        smoothed.add(torch.tensor(float(i)))
    assert len(smoothed._pending) < 256
    assert smoothed.value == 998.5
