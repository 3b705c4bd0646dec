"""Whole nets on a GPU, in fp32, against what BVLC Caffe 1.0 computed on a CPU: within 1e-4 of an array's largest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ..test_golden_nets import CASES, HERE, test_net_computes_what_caffe_computes

COMPUTE = test_net_computes_what_caffe_computes
del test_net_computes_what_caffe_computes  # which pytest would run here, too


@pytest.mark.parametrize("name", [name for name in HERE if CASES[name]["seed"] is None])  # masks are the device's own
def test_net_on_a_gpu(name: str, golden_root: Path, gpu_agree: Callable[..., None], gpu_mode: None) -> None:
    COMPUTE(name, golden_root, gpu_agree)
