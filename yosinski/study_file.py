"""A study of one's own: a small JSON file that says which net is cut where, and trained on which halves.

    {"name": "depth", "net": "my_net.prototxt", "layers": ["conv1", "conv2", "fc"], "solver": "solver.prototxt",
     "data": "data/mine", "splits": [0, 1], "nets": ["base", "transfer", "transfer+"], "cuts": [1, 2]}

``net``: ``full``, ``mini``, or a definition for both phases (beside the study file), whose ``layers`` are those it may
be cut behind; ``solver`` goes with it. ``nets``: families, of base, selffer[+], transfer[+], random, reduced and whole.
``splits``: seeds, or "natman". ``targets``: halves to train on. ``cuts``: layers kept. ``per_class``: images a class of
the reduced nets. Only ``nets`` and, with a net of one's own, ``layers`` and ``solver`` have to be there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.proto import read_net, read_solver, text
from yosinski.net_names import HALVES, PER_CLASS
from yosinski.networks import NetSpec
from yosinski.scales import SCALES, Scale
from yosinski.transplant import weighted

FAMILIES = ("base", "selffer", "selffer+", "transfer", "transfer+", "random", "reduced", "whole")


@dataclass(frozen=True)
class Study:
    """A study: its nets, each after the one that it starts from, and what they are made of."""

    name: str
    scale: Scale
    specs: tuple[NetSpec, ...]


def read_study(path: str | Path) -> Study:
    """Read a study file. CaffeError, naming the key and what it takes, if it is not as described above."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CaffeError(f"{path}: cannot read the study: {error.strerror}") from None
    except ValueError as error:
        raise CaffeError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise CaffeError(f"{path}: expected one object, {{...}}")
    return _Reader(path, content).study()


class _Reader:
    KEYS = ("name", "net", "layers", "solver", "data", "nets", "splits", "targets", "cuts", "per_class")

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path, self.content = path, content
        for key in content:
            if key not in self.KEYS:
                raise CaffeError(f"{path}: key {key!r}; expected one of {', '.join(self.KEYS)}")

    def study(self) -> Study:
        scale = self._scale()
        most = len(scale.layers) - 1  # the last layer is learned anew in every transfer
        families = self._list("nets", "families " + ", ".join(FAMILIES), FAMILIES.__contains__)
        splits = [str(split) for split in self._list("splits", 'seeds, or "natman"', _is_split, [0])]
        targets = self._list("targets", "halves A and B", HALVES.__contains__, HALVES)
        cuts = self._list("cuts", f"layers from 1 to {most}", _between(1, most), range(1, most + 1))
        counts = self._list("per_class", "images a class, from 1 to 9999", _between(1, 9999), PER_CLASS)
        specs: dict[NetSpec, None] = {}
        for family in families:
            for spec in _family(family, splits, targets, cuts, counts):
                if spec.base_spec:
                    specs.setdefault(spec.base_spec)
                specs.setdefault(spec)
        ordered = sorted(specs, key=lambda spec: spec.base_spec is not None)
        return Study(self._text("name", self.path.stem), scale, tuple(ordered))

    def _scale(self) -> Scale:
        net, data = self._text("net", "full"), self.content.get("data")
        known = next((scale for size, scale in SCALES.items() if size == net), None)
        if known is not None:
            if "layers" in self.content or "solver" in self.content:
                raise CaffeError(f"{self.path}: layers and solver go with a net of your own, not with {net!r}")
            return replace(known, data=self._text("data", known.data)) if data else known
        layers = self._list("layers", "two or more names of layers", lambda name: isinstance(name, str))
        file = self.path.parent / net
        definition = read_net(file)
        try:
            list(weighted(definition, layers))
        except CaffeError as error:
            raise CaffeError(f"{file}: {error}") from None
        if len(layers) < 2:
            raise CaffeError(f'{self.path}: "layers": expected two or more names of layers')
        solver = text.format(read_solver(self.path.parent / self._text("solver")))
        return Scale(
            title=net,
            definition=text.format(definition),
            deploy="",
            layers=tuple(layers),
            solver=solver,
            reduced_solver=solver,
            data=self._text("data", "data"),
            folder=".",
        )

    def _text(self, key: str, default: str | None = None) -> str:
        value = self.content.get(key, default)
        if not isinstance(value, str) or not value:
            raise CaffeError(f'{self.path}: "{key}": expected a text, got {json.dumps(value)}')
        return value

    def _list(
        self, key: str, expected: str, fits: Callable[[Any], bool], default: Sequence[Any] | None = None
    ) -> list[Any]:
        """A list without repetitions, each element as expected."""
        values = self.content.get(key, None if default is None else list(default))
        if not isinstance(values, list) or not values:
            raise CaffeError(f'{self.path}: "{key}": expected a list of {expected}')
        for value in values:
            if isinstance(value, (dict, list)) or not fits(value) or values.count(value) > 1:
                raise CaffeError(f'{self.path}: "{key}": {json.dumps(value)}; expected {expected}, each once')
        return values


def _family(
    family: str, splits: Sequence[str], targets: Sequence[str], cuts: Sequence[int], counts: Sequence[int]
) -> list[NetSpec]:
    if family == "whole":
        return [NetSpec("whole")]
    if family == "random":
        return [NetSpec("random", n=n) for n in cuts]
    if family == "reduced":
        return [NetSpec("reduced", per_class=count) for count in counts]
    if family == "base":
        return [NetSpec("base", base=half, target=half, split=split) for split in splits for half in targets]
    same, finetune = family.startswith("selffer"), family.endswith("+")
    return [
        NetSpec("selffer" if same else "transfer", base, n, target, finetune, split)
        for split in splits
        for target in targets
        for base in HALVES
        if (base == target) == same
        for n in cuts
    ]


def _is_split(value: Any) -> bool:
    return value == "natman" or _between(0, 999_999_999)(value)


def _between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high
