"""The rules by which the audit judges, read from a versioned file so that a verdict can be repeated years later."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError

PACKAGED = Path(__file__).with_name("rules_v1.json")


@dataclass(frozen=True)
class StreamRules:
    """How the order of training images is compared.

    Attributes:
        detrend: displayed losses in the moving mean that is subtracted; odd.
        first_batch, last_batch: the stretch of training that is compared; a shorter run is compared from ``skip``,
            a fraction of its iterations.
        boundary: the correlation that divides nets of one training set from nets of two.
        confidence: of the interval that must lie on one side of the boundary.
        least_points: fewer common displayed losses than that tell nothing.
        plateau: a net whose median loss is not this far below ln(classes) has not learned, and shows no order.
        least_shift, shifts: the control compares the losses shifted by ``least_shift`` displays and more, ``shifts``
            of them on each side.
    """

    detrend: int
    first_batch: int
    last_batch: int
    skip: float
    boundary: float
    confidence: float
    least_points: int
    plateau: float
    least_shift: int
    shifts: int


@dataclass(frozen=True)
class Rules:
    """What counts as a difference.

    Attributes:
        version: of these rules; part of every report.
        alpha: the probability that an audit in which all is right finds a run at fault by its numbers; divided among
            the runs and their two numbers. The joint difference has the same probability, for itself.
        power: of the smallest true difference that is reported as visible.
        best_tests: tests in the paper's statistic, the mean of the best ones.
        loss_window: iterations over which displayed training losses are averaged.
        least_iterations: an unfinished run is not judged before, for nets on a half and on all classes.
        learned_top1: an original below it did not learn, or hardly; no top-1 is judged by it.
        least_degrees: degrees of freedom without which a spread between runs is no spread.
        window_bias: what the moving test window can add to the paper's statistic, by split.
        missing_images: [missing, of] in the validation set of the originals, by split.
        solver_fields: those that change what is learned or how it is tested.
    """

    version: int
    alpha: float
    power: float
    best_tests: int
    loss_window: int
    least_iterations: dict[str, int]
    learned_top1: float
    least_degrees: int
    window_bias: dict[str, float]
    missing_images: dict[str, list[int]]
    solver_fields: list[str]
    stream: StreamRules


def read_rules(path: Path = PACKAGED) -> Rules:
    """Read a rule file. CaffeError if a rule is missing, unknown, or not of its type."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
        stream = _build(StreamRules, found.pop("stream"), f"{path}: stream")
        return _build(Rules, {**found, "stream": stream}, str(path))
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise CaffeError(f"{path}: not a file of audit rules: {error!r}") from None


def _build(kind: Any, values: dict[str, Any], where: str) -> Any:
    wanted = {field.name: field.type for field in fields(kind)}
    for name in sorted(wanted.keys() ^ values.keys()):
        raise CaffeError(f"{where}: rule {name!r} is {'missing' if name in wanted else 'unknown'}")
    for name, value in values.items():
        right: Any = {"int": int, "float": (int, float)}.get(str(wanted[name]), object)
        if not isinstance(value, right):
            raise CaffeError(f"{where}: rule {name!r} is {value!r}; expected {wanted[name]}")
    return kind(**values)
