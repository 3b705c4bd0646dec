"""A Caffe runtime on PyTorch. ``import caffe_compat as caffe`` offers what pycaffe offers.

The names of pycaffe are looked up when they are first used, so that importing a part such as ``caffe_compat.proto``
does not load torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_PYCAFFE = (
    "TEST",
    "TRAIN",
    "Net",
    "SGDSolver",
    "get_solver",
    "layer_type_list",
    "rng_next_u32",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
)


def __getattr__(name: str) -> Any:
    if name in _PYCAFFE:
        return getattr(importlib.import_module("caffe_compat.pycaffe"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PYCAFFE])
