"""Tests of the GPU path: they run where there is a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import caffe_compat as caffe

HERE = Path(__file__).parent
DEVICE = torch.device("cuda:0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture
def device() -> torch.device:
    return DEVICE


@pytest.fixture
def gpu_mode() -> Iterator[None]:
    """Pycaffe's nets compute on the GPU."""
    caffe.set_mode_gpu()
    yield
    caffe.set_mode_cpu()


@pytest.fixture
def deterministic() -> Iterator[None]:
    """As `yosinski train` has it."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = before


@pytest.fixture
def gpu_agree(agree: Callable[..., None]) -> Callable[..., None]:
    """``agree`` with ten times the room: a GPU sums in another order, and has powers and logarithms of its own."""

    def check(what: str, got: Any, want: np.ndarray, case: dict[str, Any]) -> None:
        agree(what, got, want, case, rtol=1e-4)

    return check
