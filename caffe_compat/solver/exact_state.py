"""What Caffe forgets when it resumes: a small file beside a snapshot's pair, by which a run goes on to the bit.

Caffe's state holds iteration and history. A resumed Caffe reads its data from the first record on, draws other random
numbers, and begins its mean loss anew. ``NAME_iter_N.exact`` keeps all that, and the hashes of the two files that it
belongs to. It is a NumPy .npz archive without pickles; ``facts`` is JSON, in which ``{"array": i}`` stands for array i.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch

from caffe_compat import glog, libc_rand, rng
from caffe_compat.errors import CaffeError

if TYPE_CHECKING:
    from caffe_compat.net import Net
    from caffe_compat.solver.solver import Solver

VERSION = 1
State = dict[str, Any]  # what JSON takes, and arrays


@runtime_checkable
class Remembering(Protocol):
    """A layer whose forward depends on the ones before."""

    def data_state(self) -> State:
        """Where it stands: integers, lists and arrays."""

    def load_data_state(self, state: State) -> None:
        """Go on from there; CaffeError if the state is that of another layer."""


def path_of(state: Path) -> Path:
    """The exact file that belongs to a ``.solverstate`` or ``.solverstate.h5``."""
    return state.with_name(state.name.partition(".solverstate")[0] + ".exact")


def capture(solver: Solver) -> State:
    """Where data, random streams and mean loss stand now."""
    device = solver.net.device
    return {
        "nets": [[[layer.name, layer.data_state()] for layer in _remembering(net)] for net in _nets(solver)],
        "main": rng.main().get_state(),
        "rand": libc_rand.process().get_state(),
        "device": device.type,
        "generator": torch.cuda.get_rng_state(device).numpy() if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "losses": solver.smoothed.get_state(),
    }


def write(path: Path, captured: State, iteration: int, weights: Path, weights_name: str, state: bytes) -> None:
    """Write the file.

    Args:
        captured: what ``capture`` gave.
        weights: the snapshot's weights, as yet under another name than ``weights_name``.
        state: the content of its solver state.
    """
    facts = {"version": VERSION, "iter": iteration, "weights": [weights_name, _hash(weights)]}
    facts["solverstate"] = hashlib.sha256(state).hexdigest()
    arrays: dict[str, np.ndarray] = {}

    def keep(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value.item()
        arrays[f"array_{len(arrays)}"] = value
        return {"array": len(arrays) - 1}

    text = json.dumps({**facts, **captured}, default=keep)
    with path.open("wb") as file:
        np.savez(file, facts=np.array(text), **arrays)  # type: ignore[arg-type]


def read(state: Path) -> State:
    """The facts that go with a solver state, once all three files of the snapshot are whole and belong together.

    Raises CaffeError, in one line, if one of them is missing, damaged, or of another snapshot.
    """
    path = path_of(state)
    try:
        with np.load(path, allow_pickle=False) as file:
            facts: State = json.loads(
                str(file["facts"]),
                object_hook=lambda value: file[f"array_{value['array']}"] if value.keys() == {"array"} else value,
            )
        version: int = facts["version"]
        name, weights_hash = facts["weights"]
    except FileNotFoundError:
        raise CaffeError(f"{state}: cannot go on exactly without {path.name}, which is missing") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise CaffeError(f"{path}: no record of an exact snapshot, or a damaged one: {error}") from None
    if version != VERSION:
        raise CaffeError(f"{path}: of version {version}; expected {VERSION}")
    for file_path, wanted in ((state, facts["solverstate"]), (state.with_name(name), weights_hash)):
        if not file_path.is_file():
            raise CaffeError(f"{state}: cannot go on exactly, {file_path.name} is missing")
        if _hash(file_path) != wanted:
            raise CaffeError(f"{path}: does not belong to {file_path}, which was changed or is of another snapshot")
    return facts


def apply(solver: Solver, facts: State, path: Path) -> None:
    """Put a solver, which has taken over weights and history, where ``capture`` found one. CaffeError if it differs."""
    device, nets = solver.net.device, _nets(solver)
    if device.type != facts["device"]:
        raise CaffeError(f"{path}: from a {facts['device']} device; on a {device.type} device no run can equal it")
    if torch.get_num_threads() != facts["threads"] and device.type == "cpu":
        ours = torch.get_num_threads()
        glog.warning("exact_state", f"{path}: of a run on {facts['threads']} threads, not {ours}; last bits may differ")
    names = [[name for name, _ in states] for states in facts["nets"]]
    if names != [[layer.name for layer in _remembering(net)] for net in nets]:
        raise CaffeError(f"{path}: of other nets: it has states of the layers {names}")
    for net, states in zip(nets, facts["nets"]):
        for layer, (_, state) in zip(_remembering(net), states):
            layer.load_data_state(state)
    libc_rand.process().set_state(facts["rand"])
    rng.main().set_state(facts["main"])
    if facts["generator"] is not None:
        torch.cuda.set_rng_state(torch.from_numpy(facts["generator"]), device)
    solver.smoothed.set_state(facts["losses"])


def _nets(solver: Solver) -> list[Net]:
    return [solver.net, *solver.test_nets]


def _remembering(net: Net) -> list[Any]:
    return [layer for layer in net.layers if isinstance(layer, Remembering)]


def _hash(path: str | os.PathLike[str]) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
