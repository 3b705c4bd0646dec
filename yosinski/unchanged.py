"""A run goes on with what it was begun with: definitions and data that have changed meanwhile are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.proto import read_net
from caffe_compat.proto.text import format as format_text
from yosinski.run_dir import RunDir

# Of a SolverParameter: what says how long, where and how loud, but not what is learned.
MAY_CHANGE = (
    "max_iter",
    "display",
    "average_loss",
    "debug_info",
    "snapshot",
    "snapshot_prefix",
    "snapshot_format",
    "snapshot_after_train",
    "solver_mode",
    "device_id",
    "random_seed",
    "weights",
    "net",
    "train_net",
    "test_net",
)


def fingerprints(solver: Any, nets: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of what matters in a SolverParameter, as ``solver``, and of its nets, as ``net``, ``net_1``..."""
    kept = type(solver)()
    kept.CopyFrom(solver)
    for field in MAY_CHANGE:
        kept.ClearField(field)
    texts = {"solver": format_text(kept)}
    texts |= {f"net_{i}" if i else "net": format_text(net) for i, net in enumerate(nets.values())}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def check(run: RunDir, solver: Any, nets: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> None:
    """Hold what a run is about to go on with against what its run.json says it was begun with.

    Args:
        run: its definitions are as they were.
        solver, nets: a SolverParameter, and its nets by file.
        inputs: databases and means, described as in run.json.

    Raises:
        CaffeError: the first difference, in one line.
    """
    meta, folder = run.meta, run.path
    before, now = meta.get("definitions", {}), fingerprints(solver, nets)
    for name, (file, net) in zip(list(now)[1:], nets.items()):
        if before.get(name, now[name]) != now[name]:
            what = _difference(folder / f"{name}.prototxt", net)
            raise CaffeError(f"{file}: has changed since {folder} was begun{what}; {_remedy()}")
    if before.get("solver", now["solver"]) != now["solver"]:
        raise CaffeError(f"{folder}: the solver has changed since this run was begun; {_remedy()}")
    old = {entry["path"]: entry for entry in meta.get("files", {}).get("inputs", [])}
    for entry in inputs:
        for field in ("sha256", "bytes"):
            if old.get(entry["path"], entry).get(field) != entry.get(field):
                raise CaffeError(f"{entry['path']}: has changed since {folder} was begun; {_remedy()}")


def _remedy() -> str:
    return "put it back, or --force starts over"


def _difference(was: Path, net: Any) -> str:
    """The first layer that differs from that of the definition in the run directory, if it can be told."""
    try:
        old = list(read_net(was).layer)
    except CaffeError:
        return ""
    for before, after in zip(old, net.layer):
        if before != after:
            return f", at layer {after.name!r}"
    return "" if len(old) == len(net.layer) else f": {len(net.layer)} layers, not {len(old)}"
