"""All kernels, as their functions launch them, compiled for a GPU that need not be there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="Triton is not installed")

COMPILE = """
import sys, torch
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.jit import JITFunction

class Nowhere:
    get_current_target = lambda self: GPUTarget("cuda", int(sys.argv[1]), 32)
    get_current_device = lambda self: 0
    get_current_stream = lambda self, device: 0

def compile_only(self, *arguments, grid, warmup, **options):
    assert "cubin" in run(self, *arguments, grid=grid, warmup=True, **options).asm
    print(self.__name__)

driver.set_active(Nowhere())
run, JITFunction.run = JITFunction.run, compile_only
from caffe_compat.kernels import lrn, max_pooling, transform

for channels, side, beta, layout, dtype in ((1, 1, 0.75, torch.contiguous_format, torch.float32),
                                            (3, 27, 0.5, torch.contiguous_format, torch.float32),
                                            (3, 27, 0.75, torch.channels_last, torch.bfloat16)):
    x = torch.ones(2, channels, side, side, dtype=dtype).contiguous(memory_format=layout)
    lrn.backward(x, lrn.forward(x, 5, 1e-4, beta, 1.0), 5, 1e-4, beta, 1.0)
    top, winners = max_pooling.forward(x, (side // 2, side // 2), (3, 3), (2, 2), (0, 0))
    max_pooling.backward(x, top, winners, (3, 3), (2, 2), (0, 0))
    places = torch.zeros(2, 3, dtype=torch.int32)
    for mean in (None, torch.ones(channels), torch.ones(channels, 32, 32)):
        transform.finish(torch.ones(x.shape, dtype=torch.uint8), places, mean, 0.5, x)
"""


@pytest.mark.parametrize("capability", ["80", "90"])
def test_without_a_gpu(capability: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    asked = [sys.executable, "-c", COMPILE, capability]
    compiled = subprocess.run(asked, check=True, env=environment, capture_output=True, text=True).stdout.split()
    assert compiled == ["_forward", "_backward", "_backward", *["_finish"] * 3] + 2 * [
        *["_forward", "_backward"] * 2,
        *["_finish"] * 3,
    ]
