"""The layers that have kernels, through them, against what BVLC Caffe 1.0 computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from caffe_compat import kernels

from ..layers.test_golden import CASES, test_layer_computes_what_caffe_computes

pytest.importorskip("triton", reason="Triton is not installed")

COMPUTE = test_layer_computes_what_caffe_computes
del test_layer_computes_what_caffe_computes  # which pytest would run here, too
MANY = [name for name, case in CASES.items() if case["type"] in ("LRN", "Pooling")]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there the kernels do not run in the interpreter")
def test_layers(golden_root: Path, agree: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU, where the kernels run in Triton's interpreter; tests/caffe_compat/cuda has the same on a GPU."""
    asked = []

    def usable(x: Tensor) -> bool:
        asked.append(x)
        return True

    monkeypatch.setattr(kernels, "usable", usable)
    for name in MANY:
        COMPUTE(name, golden_root, agree)
    assert len(asked) > 0.4 * len(MANY)  # AVE and WITHIN_CHANNEL have none
