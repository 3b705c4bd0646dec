"""Ratios kept in a file, and what became slower since: two machines differ in their speeds, less in such ratios."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe_compat.atomic import write_text
from caffe_compat.errors import CaffeError
from yosinski.bench.comparison import LOWER, Comparison


@dataclass(frozen=True)
class Change:
    """A ratio then and now; ``slower``: the factor by which it became worse, below 1 where it became better."""

    name: str
    then: float
    now: float
    slower: float


def save(path: Path, device: str, machine: dict[str, Any], comparisons: Sequence[Comparison]) -> None:
    """Note the ratios of a device ("cpu" or "cuda"); others that the file has stay."""
    known = read(path) if path.exists() else {}
    kept = known.get(device, {}).get("ratios", {})
    known[device] = {"machine": machine, "ratios": dict(sorted({**kept, **ratios(comparisons)}.items()))}
    write_text(path, json.dumps(known, indent=1) + "\n")


def compare(path: Path, device: str, comparisons: Sequence[Comparison]) -> list[Change]:
    """All ratios that were measured then and now, the worst first. CaffeError if there are none."""
    then = read(path).get(device, {}).get("ratios", {})
    changes = []
    for name, ratio in ratios(comparisons).items():
        if name in then:
            before, now = then[name]["value"], ratio["value"]
            slower = now / before if ratio["better"] == LOWER else before / now
            changes.append(Change(name, before, now, slower))
    if not changes:
        raise CaffeError(f"{path}: nothing of what was measured on {device}; --save would note it")
    return sorted(changes, key=lambda change: -change.slower)


def ratios(comparisons: Sequence[Comparison]) -> dict[str, dict[str, Any]]:
    return {
        f"{comparison.name}: {ratio.name}": {"value": round(comparison.value(ratio), 4), "better": ratio.better}
        for comparison in comparisons
        for ratio in comparison.ratios
    }


def read(path: Path) -> dict[str, Any]:
    """What a file of ratios says, by device. CaffeError if it is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for device in found.values():
            for ratio in device["ratios"].values():
                if not (float(ratio["value"]) > 0 and ratio["better"]):
                    raise ValueError("a ratio that is not above 0")
    except OSError as error:
        raise CaffeError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CaffeError(f"{path}: not a file of `yosinski bench --save`: {' '.join(str(error).split())}") from None
    return dict(found)
