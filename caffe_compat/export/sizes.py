"""Which sizes of a net's values follow the batch: found by asking the layers what becomes of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caffe_compat.errors import CaffeError
from caffe_compat.export.graph import Dims
from caffe_compat.layers.base import Layer, Shape

BATCH, TIME = "N", "T"


@dataclass(frozen=True)
class Step:
    """A layer with the names of the values that it reads and writes."""

    layer: Layer
    bottoms: list[str]
    tops: list[str]


@dataclass(frozen=True)
class Free:
    """A size that is known at run time only: its name, and the axis of each value that begins with it.

    ``needed``: whether the export has to keep it free, since no fixed size would be right.
    """

    name: str
    axes: Mapping[str, int]
    needed: bool = False


def free_sizes(steps: Sequence[Step], inputs: Mapping[str, Shape]) -> list[Free]:
    """The sizes that can be left open: another one is as good for every layer.

    The first is the batch, ``N``. In recurrent nets that is the second axis, and the first one is the time, ``T``.
    Inputs with other first sizes have ones of their own, and what Filter lets through is known at run time only.
    """
    base = shapes(steps, inputs)
    free = []
    for candidate in _candidates(steps, inputs, base):
        try:
            shapes(steps, inputs, candidate, base)
        except CaffeError:
            continue  # a layer fixes it, such as InnerProduct along axis 0
        free.append(candidate)
    shapes(steps, inputs)  # leaves the layers as they were
    return free


def _candidates(steps: Sequence[Step], inputs: Mapping[str, Shape], base: Mapping[str, Shape]) -> list[Free]:
    found: list[Free] = []
    times = {base[step.bottoms[1]] for step in steps if step.layer.time_major}
    if len(times) == 1:
        ((time, batch),) = times
        major = {name: 0 for name, shape in inputs.items() if shape[:2] == (time, batch)}
        second = {name: 1 for name, shape in inputs.items() if shape[:2] in ((time, batch), (1, batch))}
        first = {name: 0 for name, shape in inputs.items() if name not in second and shape[:1] == (batch,)}
        found = [Free(BATCH, {**second, **first}), Free(TIME, major)]
    else:
        for name, shape in inputs.items():
            same = {other: 0 for other in inputs if inputs[other][:1] == shape[:1]}
            if shape and not any(name in free.axes for free in found):
                found.append(Free(f"{name}.0" if found else BATCH, same))
    for step in steps:
        if step.layer.counts_in_forward:
            found.append(Free(f"{step.tops[0]}.0", dict.fromkeys(step.tops, 0), needed=True))
    return [free for free in found if free.axes]


def shapes(
    steps: Sequence[Step],
    inputs: Mapping[str, Shape],
    larger: Free | None = None,
    base: Mapping[str, Shape] | None = None,
) -> dict[str, Shape]:
    """Shapes of all values by the layers' own rules, with one size larger by 1; ``base``: those without."""
    known: dict[str, Shape] = {}
    for step in steps:
        if step.layer.type == "Input":
            tops = [inputs[name] for name in step.tops]
        else:
            tops = step.layer.reshape([known[name] for name in step.bottoms])
        for top, shape in zip(step.tops, tops):
            if step.layer.counts_in_forward and base:
                shape = (base[top][0], *shape[1:])
            if larger and top in larger.axes:
                at = larger.axes[top]
                shape = (*shape[:at], shape[at] + 1, *shape[at + 1 :])
            known[top] = tuple(shape)
    return known


def dims(steps: Sequence[Step], inputs: Mapping[str, Shape], free: Sequence[Free]) -> dict[str, Dims]:
    """Shapes of all values, with names for the free sizes and for those that follow from them, ``VALUE.AXIS``."""
    base = shapes(steps, inputs)
    grown = [shapes(steps, inputs, one, base) for one in free]
    shapes(steps, inputs)
    names: dict[tuple[int, ...], str] = {}
    for i, one in enumerate(free):
        value, axis = next(iter(one.axes.items()))
        growth = [int(i == j) for j in range(len(free))]
        signature = (base[value][axis], *growth)
        names[signature] = one.name
    result: dict[str, Dims] = {}
    for value, shape in base.items():
        sizes: list[int | str] = []
        for axis, size in enumerate(shape):
            growth = [other[value][axis] - size for other in grown]
            sizes.append(names.setdefault((size, *growth), f"{value}.{axis}") if any(growth) else size)
        result[value] = tuple(sizes)
    return result
