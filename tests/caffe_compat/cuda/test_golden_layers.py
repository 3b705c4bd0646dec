"""Every layer on a GPU against what BVLC Caffe 1.0 computed on a CPU.

In fp32 within 1e-4 of an array's largest value, in bf16, whatever dtypes the layers get then, within 5 %.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from caffe_compat import precision

from ..layers.test_golden import CASES, test_layer_computes_what_caffe_computes

COMPUTE = test_layer_computes_what_caffe_computes
del test_layer_computes_what_caffe_computes  # which pytest would run here, too


@pytest.mark.parametrize(("arithmetic", "tolerance"), [("fp32", 1e-4), ("bf16", 5e-2)])
@pytest.mark.parametrize("name", CASES)
def test_layer_on_a_gpu(
    name: str, arithmetic: str, tolerance: float, golden_root: Path, agree: Callable[..., None], gpu_mode: None
) -> None:
    with precision.use(arithmetic):
        COMPUTE(name, golden_root, partial(agree, rtol=tolerance))
