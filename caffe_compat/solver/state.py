"""Solver states in files: ``.solverstate`` (binaryproto) and ``.solverstate.h5``, as Caffe reads and writes them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from caffe_compat.errors import CaffeError
from caffe_compat.hdf5_image import hdf5_image
from caffe_compat.proto import raw_blobs
from caffe_compat.weights import is_hdf5


@dataclass
class SolverState:
    """A training run at rest; its weights are in the file that ``learned_net`` names."""

    iter: int  # updates done
    learned_net: str  # "" if the state names none
    current_step: int = 0  # steps of lr_policy "multistep" so far
    history: list[np.ndarray] = field(default_factory=list)  # float32


def read_state(path: str | os.PathLike[str]) -> SolverState:
    """Read a state of either format. Raises CaffeError if the file is missing, damaged or something else."""
    return _read_hdf5(path) if is_hdf5(path) else _read_binary(path)


def to_bytes(state: SolverState, hdf5: bool = False) -> bytes:
    """The content of the file."""
    return _to_hdf5(state) if hdf5 else _to_binary(state)


def _to_binary(state: SolverState) -> bytes:
    message = raw_blobs.message_class("SolverState")(
        iter=state.iter, learned_net=state.learned_net, current_step=state.current_step
    )
    for array in state.history:
        raw_blobs.from_array(message.history.add(), array)
    return message.SerializeToString()


def _read_binary(path: str | os.PathLike[str]) -> SolverState:
    name = os.fspath(path)
    try:
        content = Path(path).read_bytes()
        message = raw_blobs.message_class("SolverState").FromString(content)
        history = [raw_blobs.to_array(blob) for blob in message.history]
    except OSError as error:
        raise CaffeError(f"{name}: cannot read the solver state: {error.strerror}") from None
    except (DecodeError, ValueError) as error:
        what = f": {error}" if isinstance(error, ValueError) else ""
        raise CaffeError(f"{name}: not a .solverstate, or a damaged one ({len(content)} bytes){what}") from None
    if not message.HasField("iter"):
        raise CaffeError(f"{name}: no iteration in it; expected a .solverstate")
    return SolverState(message.iter, message.learned_net, message.current_step, history)


def _to_hdf5(state: SolverState) -> bytes:
    def fill(file: Any) -> None:
        file["iter"] = np.array([state.iter], np.int32)
        file["learned_net"] = np.bytes_(state.learned_net.encode())
        file["current_step"] = np.array([state.current_step], np.int32)
        history = file.create_group("history")
        for i, array in enumerate(state.history):
            history[str(i)] = array

    return hdf5_image(fill)


def _read_hdf5(path: str | os.PathLike[str]) -> SolverState:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            learned_net = file["learned_net"][()] if "learned_net" in file else b""
            history = [np.asarray(file["history"][str(i)], np.float32) for i in range(len(file["history"]))]
            step = int(file["current_step"][0])
            return SolverState(int(file["iter"][0]), bytes(learned_net).decode(), step, history)
    except (OSError, KeyError, ValueError, TypeError) as error:
        missing = not Path(path).exists()
        reason = "cannot read the solver state: no such file" if missing else f"not a .solverstate.h5: {error}"
        raise CaffeError(f"{os.fspath(path)}: {reason}") from None
