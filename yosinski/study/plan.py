"""The plan of a study: its nets, each behind the one that it starts from, and what they will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text
from yosinski.networks import NetSpec
from yosinski.scales import Scale
from yosinski.study.presets import Preset


@dataclass(frozen=True)
class Net:
    """A net to train.

    Attributes:
        name: by the original authors' rules, which tell the split; unique in a study, and the name of its folder.
        base: the name of the net that it starts from; None: it starts from its fillers.
        iterations, batch: updates, and images in one.
    """

    name: str
    spec: NetSpec
    base: str | None
    iterations: int
    batch: int

    @property
    def images(self) -> int:
        """Images that pass through it in training."""
        return self.iterations * self.batch

    @property
    def start(self) -> tuple[str | None, str, str]:
        """What it starts from, and what it reads: nets with the same can be trained together."""
        return self.base, self.spec.train_set, self.spec.valid_set

    @property
    def family(self) -> str:
        return self.spec.kind + ("+" if self.spec.finetune else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "family": self.family,
            "split": self.spec.split,
            "n": self.spec.n,
            "base": self.base,
            "iterations": self.iterations,
            "batch": self.batch,
            "images": self.images,
        }


@dataclass(frozen=True)
class Plan:
    """The nets of a preset, in an order in which they can be trained."""

    preset: Preset
    nets: tuple[Net, ...]
    solver: dict[str, Any]  # fields that are other than the scale's

    @property
    def images(self) -> int:
        """All images to train."""
        return sum(net.images for net in self.nets)

    @cached_property
    def groups(self) -> list[list[Net]]:
        """The nets that are trained together, group by group."""
        return groups(self.nets, self.preset.together)

    @cached_property
    def jobs(self) -> list[list[list[Net]]]:
        """The groups that one process trains one after the other."""
        return jobs(self.groups, self.preset.nets_per_job)

    @property
    def longest(self) -> int:
        """Images on the longest way from a first net to a last one: what any number of GPUs has to wait for.

        A net waits for all that are trained together with the one that it starts from.
        """
        ways: dict[str, int] = {}
        for group in self.groups:
            before = max(ways[net.base] if net.base else 0 for net in group)
            ways.update(dict.fromkeys((net.name for net in group), before + sum(net.images for net in group)))
        return max(ways.values(), default=0)

    @cached_property
    def datasets(self) -> list[str]:
        """Names of the datasets that the nets are trained and tested on, or have the mean of; the whole left out."""
        names = [name for net in self.nets for name in (net.spec.train_set, net.spec.valid_set, net.spec.mean_set)]
        return [name for name in dict.fromkeys(names) if name != "whole"]

    def solver_of(self, spec: NetSpec) -> Any:
        """The SolverParameter of a net."""
        return solver_param(self.preset, spec, self.solver)


def make_plan(preset: Preset, max_iter: int | None = None) -> Plan:
    """The plan of a preset, its nets trained for other than the usual time if ``max_iter`` says so."""
    changes = {**preset.solver, **({"max_iter": max_iter} if max_iter is not None else {})}
    specs: dict[str, NetSpec] = {}
    for spec in preset.specs:
        for one in (spec.base_spec, spec):
            if one is not None and one.original_name is None:
                raise CaffeError(f"{preset.name}: the net {one.name} is on no named split")
            if one is not None:
                specs.setdefault(str(one.original_name), one)
    batch = train_batch(preset.scale)
    nets = []
    for name, spec in sorted(specs.items(), key=lambda item: item[1].base_spec is not None):
        base = spec.base_spec.original_name if spec.base_spec else None
        nets.append(Net(name, spec, base, solver_param(preset, spec, changes).max_iter, batch))
    return Plan(preset, tuple(nets), changes)


def solver_param(preset: Preset, spec: NetSpec, changes: dict[str, Any]) -> Any:
    """A net's SolverParameter; its ``net`` is not filled in."""
    solver = caffe_pb2.SolverParameter()
    solver.CopyFrom(_parsed(spec.solver(preset.scale), preset.scale.title))
    for name, value in changes.items():
        setattr(solver, name, value)
    if preset.whole_tests and not spec.target:
        solver.test_iter[:] = [preset.whole_tests] * len(solver.test_iter)
    return solver


@lru_cache(maxsize=8)
def _parsed(solver: str, title: str) -> Any:
    return text.parse(solver, caffe_pb2.SolverParameter, source=f"the solver of {title}")


def train_batch(scale: Scale) -> int:
    """Images in the batch of a net's training phase; 1 if it reads no database."""
    net = text.parse(scale.definition, caffe_pb2.NetParameter, source=scale.title)
    batches = (layer.data_param.batch_size for layer in net.layer if layer.type == "Data")
    return int(next(batches, 1))


def chunks(nets: Sequence[Net], size: int) -> list[list[Net]]:
    """The nets in groups of at most ``size``, those of a group starting from the same net or from none."""
    by_base: dict[str | None, list[Net]] = {}
    for net in nets:
        by_base.setdefault(net.base, []).append(net)
    return [group[i : i + size] for group in by_base.values() for i in range(0, len(group), size)]


def groups(nets: Sequence[Net], size: int) -> list[list[Net]]:
    """The nets in groups of at most ``size`` that start from the same net and read the same images.

    Groups of the same kind are of nearly the same size. Frozen nets are together, those with as many frozen layers
    side by side, since they have these in common.
    """
    alike: dict[tuple[Any, ...], list[Net]] = {}
    for net in nets:
        alike.setdefault(net.start, []).append(net)
    found = []
    for several in alike.values():
        several.sort(key=lambda net: (net.spec.finetune, -net.spec.n))
        count = -(-len(several) // size)
        ends = [len(several) * i // count for i in range(count + 1)]
        found += [several[begin:end] for begin, end in pairwise(ends)]
    return found


def jobs(groups: Sequence[list[Net]], size: int) -> list[list[list[Net]]]:
    """The groups of nets that start from the same net or from none, joined as long as there are at most ``size``."""
    found: list[list[list[Net]]] = []
    for group in groups:
        last = found[-1] if found else []
        if last and last[0][0].base == group[0].base and sum(map(len, [*last, group])) <= size:
            last.append(group)
        else:
            found.append([group])
    return found
