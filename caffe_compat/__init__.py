"""A Caffe runtime on PyTorch. ``import caffe_compat as caffe`` offers what pycaffe 1.0 offers.

Scripts that say ``import caffe`` run unchanged as ``python -m caffe_compat SCRIPT [ARGS]``, or after a call of
``caffe_compat.install_as_caffe()``.

Not offered: training by several solvers in parallel (``NCCL``); what pycaffe had dropped by its version 1.0, such as
``Net.set_phase_test``, ``Net.preprocess`` and ``Net.set_mean`` (``io.Transformer`` does that now); ``setup`` and
``reshape`` of a single built-in layer, which pycaffe has but gives no use. Scripts have to be Python 3.

Names are looked up when they are first used, so that importing a part such as ``caffe_compat.proto`` loads no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "1.0.0"  # of the Caffe whose ways these are; scripts look here for it

_MODULES = ("classifier", "coord_map", "detector", "draw", "io", "layers", "net_spec", "proto", "pycaffe")
_HOMES = {
    "_caffe": (
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
        "layer_type_list",
    ),
    "classifier": ("Classifier",),
    "detector": ("Detector",),
    "errors": ("CaffeError",),
    "install": ("install_as_caffe",),
    "mode": (
        "has_nccl",
        "init_log",
        "log",
        "set_device",
        "set_mode_cpu",
        "set_mode_gpu",
        "set_multiprocess",
        "set_solver_count",
        "set_solver_rank",
        "solver_count",
        "solver_rank",
    ),
    "net_spec": ("NetSpec", "params", "to_proto"),
    "proto.caffe_pb2": ("TEST", "TRAIN"),
    "rng": ("rng_next_u32", "set_random_seed"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_HOME_OF})
