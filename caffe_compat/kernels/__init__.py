"""Triton kernels for CUDA devices: what torch would do in several passes over memory, in one.

Each computes what torch expressions elsewhere compute, which go on doing so where there is no GPU or no Triton.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec

import torch
from torch import Tensor

LARGEST = 2**31  # elements; the kernels count with 32 bits


@functools.cache
def _installed() -> bool:
    return find_spec("triton") is not None


def usable(x: Tensor) -> bool:
    """Whether a kernel may run on a tensor of four axes: on a CUDA device, without gaps in memory."""
    dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    return x.is_cuda and dense and x.numel() < LARGEST and _installed()
