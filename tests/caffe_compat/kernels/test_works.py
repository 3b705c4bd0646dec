"""Where Triton is missing, or cannot run, torch computes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from caffe_compat import kernels

ASK = """
import sys, torch
from caffe_compat import glog, kernels
glog.attach(sys.stderr)
print(kernels.works(torch.device("cpu")))
"""


def test_tensors_on_a_cpu_are_left_to_torch() -> None:
    assert not kernels.usable(torch.ones(1, 2, 3, 4))


def test_triton_without_a_device() -> None:
    """It is tried once, and a line says why it does not work, or that it is not installed."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, env=environment)
    assert asked.stdout == "False\n"
    (line,) = asked.stderr.splitlines()
    assert "Triton does not work on cpu, torch computes instead: " in line


def test_triton_on_a_device(device: torch.device) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    assert kernels.works(device)
