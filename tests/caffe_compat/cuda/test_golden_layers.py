"""Every layer on a GPU against what BVLC Caffe 1.0 computed on a CPU.

In fp32 within 1e-4 of an array's largest value; those that bf16 changes, which multiply, within 5 % in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from caffe_compat import precision

from ..layers.test_golden import CASES, GOLDEN, test_layer_computes_what_caffe_computes

COMPUTE = test_layer_computes_what_caffe_computes
del test_layer_computes_what_caffe_computes  # which pytest would run here, too
MULTIPLYING = ("Convolution", "Deconvolution", "InnerProduct")


def multiplies(name: str) -> bool:
    text = (GOLDEN / "layers" / f"{name}.prototxt").read_text()
    return any(f'type: "{kind}"' in text for kind in MULTIPLYING)


@pytest.mark.parametrize("name", CASES)
def test_layer_on_a_gpu(name: str, golden_root: Path, gpu_agree: Callable[..., None], gpu_mode: None) -> None:
    COMPUTE(name, golden_root, gpu_agree)


@pytest.mark.parametrize("name", [name for name in CASES if multiplies(name)])
def test_layer_in_bf16(name: str, golden_root: Path, agree: Callable[..., None], gpu_mode: None) -> None:
    with precision.use("bf16"):
        COMPUTE(name, golden_root, partial(agree, rtol=5e-2))
