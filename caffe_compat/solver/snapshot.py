"""Snapshots: a file of weights and a file of solver state, which appear together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe_compat import glog, parallel, weights
from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from caffe_compat.solver import exact_state
from caffe_compat.solver.state import SolverState, read_state, to_bytes

if TYPE_CHECKING:
    from caffe_compat.solver.solver import Solver


def check_prefix(param: Any, source: str) -> None:
    """See to it before training that snapshots can be written. Raises CaffeError."""
    if not param.snapshot:
        return
    if not param.snapshot_prefix:
        raise CaffeError(f"{source}: In solver params, snapshot is specified but snapshot_prefix is not.")
    folder = Path(param.snapshot_prefix).absolute().parent
    while not folder.exists():  # it will be made by the first snapshot
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise CaffeError(
            f"{source}: Cannot write to snapshot prefix '{param.snapshot_prefix}'; {folder} is not a writable folder"
        )


def write(solver: Solver) -> str:
    """Write ``<snapshot_prefix>_iter_<iter>`` with Caffe's extensions; returns the path of the state.

    In 2014 the weights had no extension. An exact solver adds ``.exact``, see ``exact_state``.

    All files are complete on the disk before any gets its name, and the state gets its name last: where there is a
    state, the others are there too. Whatever fails, earlier snapshots stay, and nothing half-written is left. Of
    several processes that train together, one writes.
    """
    param = solver.param
    hdf5 = param.snapshot_format == caffe_pb2.SolverParameter.HDF5
    base, suffix = f"{param.snapshot_prefix}_iter_{solver.iter}", ".h5" if hdf5 else ""
    extension = "" if solver.compat.snapshot_names_2014 else ".caffemodel"
    model_name, state_name = f"{base}{extension}{suffix}", f"{base}.solverstate{suffix}"  # a "./" in front stays
    model, state_path, ready = Path(model_name), Path(state_name), Path(f"{base}.new.caffemodel{suffix}")
    if not parallel.world().leads:
        return state_name
    if hdf5:
        glog.info("solver.cpp:474", f"Snapshotting to HDF5 file {model_name}")
        glog.info("sgd_solver.cpp:296", f"Snapshotting solver state to HDF5 file {state_name}")
    else:
        glog.info("solver.cpp:464", f"Snapshotting to binary proto file {model_name}")
        glog.info("sgd_solver.cpp:284", f"Snapshotting solver state to binary proto file {state_name}")
    optimizer = solver.optimizer
    history = [tensor.cpu().numpy() for tensor in optimizer.history]
    state = SolverState(solver.iter, model_name, optimizer.policy.current_step, history)
    try:
        weights.save(solver.net, ready, param.snapshot_diff)
        with writing(state_path) as temporary:
            content = to_bytes(state, hdf5)
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with _beside(solver, state_path, ready, model.name, content):
                state_path.unlink(missing_ok=True)  # one of an earlier run must not meet the new weights
            ready.replace(model)
    finally:
        ready.unlink(missing_ok=True)
    return state_name


@contextmanager
def _beside(solver: Solver, state_path: Path, weights_file: Path, name: str, state: bytes) -> Iterator[None]:
    """Write the exact file of a snapshot, which gets its name at the end of this context."""
    path = exact_state.path_of(state_path)
    if not solver.exact:
        path.unlink(missing_ok=True)
        yield
        return
    with writing(path) as temporary:
        exact_state.write(temporary, solver.standing, solver.iter, weights_file, name, state)
        yield


def restore(solver: Solver, path: Path, exact: bool) -> None:
    """Take over weights, iteration and history from a state. Raises CaffeError, and changes nothing, if it is unfit.

    ``exact``: take over what the exact file says, too.
    """
    facts = exact_state.read(path) if exact else None
    state = read_state(path)
    try:
        solver.optimizer.check_history(state.history)
    except CaffeError as error:
        raise CaffeError(f"{path}: {error}") from None
    if state.learned_net:
        solver.net.copy_from(_find_weights(state.learned_net, path))
    if not weights.is_hdf5(path):
        glog.info("sgd_solver.cpp:336", "SGDSolver: restoring history")
    solver.optimizer.load_history(state.history)
    solver.optimizer.policy.current_step = state.current_step
    solver.iter = state.iter
    if facts is not None:
        exact_state.apply(solver, facts, exact_state.path_of(path))


def _find_weights(name: str, state: Path) -> Path:
    """Caffe's path is relative to the folder in which the training ran; failing that, look beside the state."""
    beside = state.parent / Path(name).name
    for path in (Path(name), beside):
        if path.exists():
            return path
    raise CaffeError(f"{state}: its weights are missing: neither {name} nor {beside} exists")
