"""All changes of a SolverParameter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from caffe_compat import glog
from caffe_compat.errors import CaffeError

TYPES = {
    "SGD": "SGD",
    "NESTEROV": "Nesterov",
    "ADAGRAD": "AdaGrad",
    "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta",
    "ADAM": "Adam",
}


def solver_needs_upgrade(solver: Any) -> bool:
    """Whether the solver's type is an enum."""
    return bool(solver.HasField("solver_type"))


def upgrade_solver(solver: Any, source: str) -> bool:
    """Turn the type into a string (September 2015), in place; nothing can be lost, so the result is True.

    ``source`` names the solver in the log and in errors. Raises CaffeError if both types are given.
    """
    if not solver_needs_upgrade(solver):
        return True
    glog.info(
        "upgrade_proto.cpp:1084",
        f"Attempting to upgrade input file specified using deprecated 'solver_type' field (enum)': {source}",
    )
    if solver.HasField("type"):
        raise CaffeError(
            f"{source}: Failed to upgrade solver: old solver_type field (enum) and new type field (string) cannot be "
            "both specified in solver proto text."
        )
    solver.type = TYPES[solver.SolverType.Name(solver.solver_type)]
    solver.ClearField("solver_type")
    glog.info(
        "upgrade_proto.cpp:1091",
        "Successfully upgraded file specified using deprecated 'solver_type' field (enum) to 'type' field (string).",
    )
    glog.warning(
        "upgrade_proto.cpp:1093",
        "Note that future Caffe releases will only support 'type' field (string) for a solver's type.",
    )
    return True


def fill_snapshot_prefix(solver: Any, source: str | Path) -> None:
    """Name snapshots after the solver's file, if no prefix is given or the prefix is a folder; in place.

    Caffe does so when it reads a solver to run it; its upgrade tool does not.
    """
    path, prefix = Path(source), solver.snapshot_prefix
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = os.fspath(source).removesuffix(path.suffix)  # a "./" in front stays
        what = "not specified and is set"
        line = 1108
    elif prefix and Path(prefix).is_dir():
        solver.snapshot_prefix = f"{prefix.removesuffix('/')}/{path.stem}"
        what = "a directory and is replaced"
        line = 1113
    else:
        return
    glog.info(f"upgrade_proto.cpp:{line}", f"snapshot_prefix was {what} to {solver.snapshot_prefix}")
