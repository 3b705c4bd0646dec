"""What pycaffe's compiled module offers under this name; ``import caffe`` takes these names from here."""

from __future__ import annotations

import time

from caffe_compat.blob import Blob
from caffe_compat.layers.python import UserLayer as Layer
from caffe_compat.layers.registry import layer_type_list
from caffe_compat.mode import (
    has_nccl,
    init_log,
    log,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from caffe_compat.pycaffe import Net
from caffe_compat.pysolver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
)
from caffe_compat.rng import rng_next_u32, set_random_seed

__all__ = [
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "Layer",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Solver",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "rng_next_u32",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]


class Timer:
    """A stopwatch: ``start()``, ``stop()``, then ``ms``."""

    def __init__(self) -> None:
        self._started = self._seconds = 0.0

    def start(self) -> None:
        """Start anew."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Take the time since ``start``."""
        self._seconds = time.perf_counter() - self._started

    @property
    def ms(self) -> float:
        """Milliseconds between ``start`` and ``stop``."""
        return self._seconds * 1000
