"""A run as the audit sees it: its log, its metadata, its definition, and the original net that it answers to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from yosinski.logs import RunLog, find_logs, read_run
from yosinski.net_names import parse_name
from yosinski.networks import NetSpec, with_split
from yosinski.original import OriginalNet, facts, nets
from yosinski.run_dir import RunDir

IN_PATH = re.compile(r"(?:split|half)?[-_]?(\d|natman)")


@dataclass(frozen=True)
class Role:
    """The place of a net in the study.

    Attributes:
        spec: which net it is.
        name: that of its folder among the original ones, whether or not the study trained such a net.
        family, half: as in ``OriginalNet``.
    """

    spec: NetSpec
    name: str

    @property
    def family(self) -> str:
        kind = "base" if self.spec.kind == "whole" else self.spec.kind
        return f"{kind}{'+' if self.spec.finetune else ''}"

    @property
    def half(self) -> str:
        return f"{self.spec.split}{self.spec.target}" if self.spec.target else "whole"

    @property
    def original(self) -> OriginalNet | None:
        """The original net; None where the study trained no such net."""
        return nets().get(self.name)


class Run:
    """A run directory with its log. CaffeError if there is none, or if run.json is damaged."""

    def __init__(self, path: Path, split: str | None = None) -> None:
        if not path.is_dir():
            raise CaffeError(f"{path}: no such run directory")
        self.path, self.wanted_split = path, split
        self.dir = RunDir(path)
        self.meta = self.dir.meta
        self.log: RunLog = read_run(find_logs(path))

    @cached_property
    def definition(self) -> Any | None:
        """The net as it was trained; None for a folder without net.prototxt."""
        from caffe_compat.proto import read_net

        return read_net(str(self.dir.net)) if self.dir.net.is_file() else None

    @cached_property
    def solver(self) -> Any | None:
        """The solver as it was used; None for a folder without solver.prototxt."""
        from caffe_compat.proto import read_solver

        return read_solver(str(self.dir.solver)) if self.dir.solver.is_file() else None

    @property
    def name(self) -> str:
        """The net's own name; without a definition that of the folder."""
        return (self.definition.name if self.definition is not None else "") or self.path.resolve().name

    @property
    def iteration(self) -> int:
        """How far the log goes."""
        last = [int(table["iteration"][-1]) for table in (self.log.tests, self.log.losses) if len(table)]
        return max(last, default=0)

    @property
    def classes(self) -> int:
        """Outputs of its last InnerProduct layer; 1000 if nothing tells."""
        layers = self.definition.layer if self.definition is not None else []
        outputs = [layer.inner_product_param.num_output for layer in layers if layer.type == "InnerProduct"]
        return int(outputs[-1]) if outputs else 1000

    @property
    def batch_size(self) -> int:
        """Images in an update; the study's 256 if nothing tells."""
        for layer in self.definition.layer if self.definition is not None else []:
            if layer.data_param.batch_size:  # that of the training phase comes first
                return int(layer.data_param.batch_size * (self.solver.iter_size if self.solver is not None else 1))
        return int(facts()["batch"]["train"])

    @property
    def starts(self) -> list[int]:
        """Iterations at which its processes began: 0, and that of each snapshot it was resumed from."""
        resumed = [session.get("resumed_from") for session in self.meta.get("sessions", [])]
        found = [re.search(r"_iter_(\d+)\.", str(name)) for name in resumed if name]
        return [0, *(int(match[1]) for match in found if match)]

    @cached_property
    def role(self) -> Role | None:
        """Its place in the study; None if neither its name nor its folder's says so.

        The split comes from ``split``, from run.json, or from a folder above: ``2``, ``split2``, ``half2``, ``natman``.
        """
        split = self.wanted_split or str(self.meta.get("split", "")) or split_in(self.path)
        for name in (self.path.resolve().name, self.name):
            if role := find_role(name, split):
                return role
        return None


def split_in(path: Path) -> str | None:
    """The split that a folder above names; None if none does."""
    matches = (IN_PATH.fullmatch(part) for part in reversed(path.resolve().parts[:-1]))
    return next((match[1] for match in matches if match), None)


def find_role(name: str, split: str | None) -> Role | None:
    """The place in the study of a net named as its original folder, or as ``yosinski nets list`` names it.

    The latter stands for one net in each split; without ``split`` it has no place.
    """
    try:
        spec = parse_name(name)
    except CaffeError:
        return None
    if spec.split is None:
        spec = with_split(spec, split)
    return Role(spec, spec.original_name) if spec.original_name else None
