"""What pycaffe keeps for the whole process: mode, device, log, and how many solvers train together."""

from __future__ import annotations

import logging
import os
import sys

from caffe_compat import glog
from caffe_compat.errors import CaffeError

_gpu = False
_device_id = 0
_printing: list[logging.Handler] = []  # what init_log has attached


def device() -> str:
    """Where nets compute now, in torch's words: ``cpu`` or ``cuda:0``."""
    return f"cuda:{_device_id}" if _gpu else "cpu"


def set_mode_cpu() -> None:
    """Compute on the CPU, from the next pass of each net on."""
    global _gpu
    _gpu = False


def set_mode_gpu() -> None:
    """Compute on the GPU that ``set_device`` chose, from the next pass of each net on. CaffeError if there is none."""
    global _gpu
    _check_device(_device_id)
    _gpu = True


def set_device(device_id: int) -> None:
    """Choose the GPU for ``set_mode_gpu``, by its number. CaffeError if there is no such GPU."""
    global _device_id
    _check_device(device_id)
    _device_id = device_id


def _check_device(device_id: int) -> None:
    import torch

    count = torch.cuda.device_count()
    if not 0 <= device_id < count:
        raise CaffeError(f"GPU {device_id}: torch sees {count} GPU(s); use set_mode_cpu() where there is none")


def init_log(level: int | None = 0, stderr: bool = True) -> None:
    """Print Caffe's log lines to stderr, from glog's ``level`` on: 0 all, 1 warnings, 2 errors, 3 what ends a run.

    The last call counts. ``None``: the level is what GLOG_minloglevel says when there is a line to print, since scripts
    set it just before they import caffe.
    """
    while _printing:
        glog.detach(_printing.pop())
    if stderr:
        handler = glog.attach(sys.stderr, glog.level_of(level or 0))
        if level is None:
            handler.addFilter(_is_loud_enough)
        _printing.append(handler)


def _is_loud_enough(record: logging.LogRecord) -> bool:
    level = os.environ.get("GLOG_minloglevel", "")  # noqa: SIM112 - glog's name
    return record.levelno >= glog.level_of(int(level) if level.isdecimal() else 0)


def log(message: str) -> None:
    """Print a line of one's own into Caffe's log."""
    glog.info("_caffe.cpp:52", message)


# Training on several GPUs, which Caffe does with one solver each, joined by NCCL.


def has_nccl() -> bool:
    """False: one solver trains alone."""
    return False


def solver_count() -> int:
    """How many solvers share the data: 1."""
    return 1


def solver_rank() -> int:
    """Which of them this one is: 0."""
    return 0


def set_solver_count(count: int) -> None:
    """Accept 1; CaffeError for more, since each would have to read its own part of the data."""
    _expect("set_solver_count", count, 1)


def set_solver_rank(rank: int) -> None:
    """Accept 0; CaffeError for others."""
    _expect("set_solver_rank", rank, 0)


def set_multiprocess(several: bool) -> None:
    """Accept False; CaffeError for True."""
    _expect("set_multiprocess", several, False)


def _expect(function: str, value: int, only: int) -> None:
    if value != only:
        raise CaffeError(f"{function}({value}): several solvers that train together are not supported; expected {only}")
