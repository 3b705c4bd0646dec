"""Triton kernels for CUDA devices: what torch would do in several passes over memory, in one.

Each computes what torch expressions elsewhere compute, which go on doing so where there is no GPU or no Triton. Triton
launches on the current device, so each makes that of its tensors the current one.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from caffe_compat import glog

LARGEST = 2**31  # elements; the kernels count with 32 bits
DTYPES = (torch.uint8, torch.float32, torch.bfloat16)  # the arithmetic is float32


def usable(x: Tensor) -> bool:
    """Whether a kernel may run on a tensor of four axes: on a CUDA device, without gaps in memory, no double."""
    dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    return x.is_cuda and dense and x.dtype in DTYPES and x.numel() < LARGEST and works(x.device)


def memory_format(x: Tensor) -> torch.memory_format:
    """How a usable tensor lies in memory."""
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


@functools.cache
def works(device: torch.device) -> bool:
    """Whether Triton is installed and can run on the device, for which it needs a C compiler, too."""
    try:
        from caffe_compat.kernels import lrn

        lrn.forward(torch.ones(1, 1, 1, 1, device=device), 1, 1.0, 1.0, 1.0)
    except Exception as error:  # those of Triton, of its compilers and of the driver have no common class
        reason = " ".join(str(error).split())
        glog.warning("kernels", f"Triton does not work on {device}, torch computes instead: {reason}")
        return False
    return True
