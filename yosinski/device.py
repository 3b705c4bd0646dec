"""The device that a command computes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe_compat.errors import CaffeError

if TYPE_CHECKING:
    import torch


def find_device(name: str, prefer_cpu: bool = False) -> torch.device:
    """The device of --device: auto, cpu, cuda or cuda:N. CaffeError for a GPU that this machine has not.

    ``prefer_cpu``: what auto means where a definition asks for the CPU.
    """
    import torch

    from caffe_compat import parallel

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() and not prefer_cpu else "cpu"
    if ":" in name and parallel.world().size > 1:
        raise CaffeError(f"--device {name}: of several processes each takes the GPU of its own number; expected cuda")
    device = torch.device(f"cuda:{parallel.device_index()}" if name == "cuda" else name)
    if device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise CaffeError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s)")
    return device


def say_device(device: torch.device, cpu_line: int, gpu_line: int) -> None:
    """Caffe's first log line, from these lines of its caffe.cpp."""
    from caffe_compat import glog

    if device.type == "cpu":
        glog.info(f"caffe.cpp:{cpu_line}", "Use CPU.")
    else:
        glog.info(f"caffe.cpp:{gpu_line}", f"Use GPU with device ID {device.index}")
