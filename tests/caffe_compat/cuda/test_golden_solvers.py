"""Training on a GPU, in fp32, against what BVLC Caffe 1.0 computed on a CPU: within 1e-3 of an array's largest."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.solver import Solver

from ..solver.test_golden import CASES, GOLDEN, Replay, test_parameters_and_losses_follow_caffes

TRAIN = test_parameters_and_losses_follow_caffes
del test_parameters_and_losses_follow_caffes  # which pytest would run here, too
RTOL = 1e-3  # tens of updates amplify another order of summation


class OnGpu(Replay):
    device = torch.device("cuda:0")

    def solver(self) -> Solver:
        return Solver(self.folder / "solver.prototxt", device=self.device)

    def check(self, what: str, got: Any, want: np.ndarray) -> None:
        got = np.asarray(got, np.float64)
        scale = np.abs(want).max(initial=0.0)
        noise = 20 * min(self.case["noise"]["max_abs"], self.case["noise"]["max_rel_to_array_max"] * scale)
        assert got.shape == want.shape and np.abs(got - want).max(initial=0.0) <= max(RTOL * scale, noise), what


def draws_masks(name: str) -> bool:
    """Whether there is a Dropout layer, whose masks are another generator's on a GPU."""
    return 'type: "Dropout"' in (GOLDEN / "solvers" / CASES[name]["dir"] / "net.prototxt").read_text()


@pytest.mark.parametrize("name", [name for name in CASES if not draws_masks(name)])
def test_parameters_and_losses_follow(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    for part in (CASES[name]["dir"], "data"):
        shutil.copytree(GOLDEN / "solvers" / part, tmp_path / "solvers" / part)
    monkeypatch.chdir(tmp_path)
    TRAIN(OnGpu(name))
