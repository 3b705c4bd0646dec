"""Triton kernels run wherever Triton is installed: on a GPU, else in its interpreter."""

from __future__ import annotations

import os

import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # Triton asks when a kernel's module is imported


@pytest.fixture
def device() -> torch.device:
    """Where the kernels run."""
    return torch.device(DEVICE)
