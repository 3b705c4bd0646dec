"""What a run says that it trained: its net and solver, field by field, against what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yosinski.audit.finding import Finding
from yosinski.audit.rules import Rules
from yosinski.audit.run import Run
from yosinski.networks import NetSpec

PLACES = ("source", "mean_file")  # fields that name files: only the last part of a path counts
SHOWN = 4


def check_recipe(run: Run, net: Any, solver: Any, rules: Rules, *, with_sources: bool) -> Finding:
    """Compare net and solver, layer by layer and field by field, with what they should be.

    Args:
        net, solver: the NetParameter and SolverParameter to compare with.
        with_sources: whether the data's names count too, not the mean's alone.
    """
    if run.definition is None:
        return Finding("recipe", "undecided", "no net.prototxt in the run directory")
    places = PLACES if with_sources else ("mean_file",)
    mine, wanted = (dict(net_fields(definition, places)) for definition in (run.definition, net))
    if run.solver is not None:
        mine |= solver_fields(run.solver, rules)
        wanted |= solver_fields(solver, rules)
    apart = [
        f"{field} is {mine.get(field, 'not set')}, expected {wanted.get(field, 'none')}"
        for field in dict.fromkeys([*wanted, *mine])
        if mine.get(field) != wanted.get(field)
    ]
    if not apart:
        return Finding("recipe", "pass", "net and solver are as expected", {"fields": len(wanted)})
    more = f", and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
    return Finding("recipe", "fail", "; ".join(apart[:SHOWN]) + more, {"different": len(apart)})


def net_fields(net: Any, places: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each field of each layer, such as ``("TRAIN data: transform_param.crop_size", "227")``; ``name`` is left out."""
    for layer in net.layer:
        phase = net.DESCRIPTOR.file.enum_types_by_name["Phase"].values_by_number
        phases = " ".join(phase[rule.phase].name for rule in layer.include if rule.HasField("phase"))
        for field, value in flatten(layer):
            last = field.rpartition(".")[2]
            if last in ("source", "mean_file") and last not in places:
                continue
            yield f"{phases} {layer.name}: {field}".strip(), Path(value).name if last in places else value


def solver_fields(solver: Any, rules: Rules) -> dict[str, str]:
    """Fields of the solver that count, those with default values included."""
    found = {}
    for name in rules.solver_fields:
        value = getattr(solver, name)
        found[f"solver: {name}"] = number(value)
    return found


def flatten(message: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every field that is set, by its path."""
    for descriptor, value in message.ListFields():
        name = f"{prefix}{descriptor.name}"
        values = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
        for i, item in enumerate(values):
            place = f"{name}[{i}]" if values is value and len(values) > 1 else name
            if hasattr(item, "ListFields"):
                yield from flatten(item, f"{place}.")
            elif descriptor.enum_type is not None:
                yield place, descriptor.enum_type.values_by_number[item].name
            else:
                yield place, number(item)


def number(value: Any) -> str:
    """A scalar or a list of them as text; float32 values as they were written."""
    if isinstance(value, float):
        return f"{value:.7g}"
    return str(value) if isinstance(value, (int, str, bytes)) else " ".join(map(number, value))


def expected_definition(spec: NetSpec) -> tuple[Any, Any]:
    """Net and solver of a net of the study at full size, from this package."""
    from caffe_compat.proto import caffe_pb2
    from caffe_compat.proto.text import parse

    return spec.net("full"), parse(spec.solver("full"), caffe_pb2.SolverParameter)


def frozen_layers(net: Any) -> list[str]:
    """Layers whose parameters all have lr_mult 0."""
    return [layer.name for layer in net.layer if layer.param and not any(_rate(param) for param in layer.param)]


def _rate(param: Any) -> float:
    return float(param.lr_mult)  # 1 where it is not set
