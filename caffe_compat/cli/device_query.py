"""``caffe device_query``: what the GPUs are."""

from __future__ import annotations

from typing import Any

from caffe_compat import glog
from caffe_compat.cli.brew import Flags, brew
from caffe_compat.errors import CaffeError

# Line of common.cpp, words, and the attribute of torch's device properties; Caffe shows some that torch does not know.
PROPERTIES = (
    (179, "Major revision number:", "major"),
    (180, "Minor revision number:", "minor"),
    (181, "Name:", "name"),
    (182, "Total global memory:", "total_memory"),
    (183, "Total shared memory per block:", "shared_memory_per_block"),
    (184, "Total registers per block:", "regs_per_multiprocessor"),
    (185, "Warp size:", "warp_size"),
    (187, "Maximum threads per block:", "max_threads_per_block"),
    (194, "Clock rate:", "clock_rate"),
    (199, "Number of multiprocessors:", "multi_processor_count"),
)


@brew
def device_query(flags: Flags) -> None:
    """Show GPU diagnostic information, of all GPUs unless --gpu names some."""
    import torch

    flags.gpu = flags.gpu or "all"
    glog.info("caffe.cpp:138", f"Querying GPUs {flags.gpu}")
    if not flags.gpus:
        raise CaffeError("this machine has no CUDA device")
    for number in flags.gpus:
        show(number, torch.cuda.get_device_properties(number))


def show(number: int, properties: Any) -> None:
    """Log what torch knows of a device."""
    glog.info("common.cpp:178", f"{'Device id:':<30} {number}")
    for line, words, name in PROPERTIES:
        if hasattr(properties, name):
            glog.info(f"common.cpp:{line}", f"{words:<30} {getattr(properties, name)}")
