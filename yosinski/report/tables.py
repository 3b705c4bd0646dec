"""The numbers behind the paper's figures, and its Table 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from yosinski.report.points import Points, mean

LAYERS = range(1, 8)
FAMILIES = ("selffer", "selffer+", "transfer", "transfer+")
PAPER_NAMES = {
    "base": "baseB",
    "selffer": "BnB",
    "selffer+": "BnB+",
    "transfer": "AnB",
    "transfer+": "AnB+",
    "random": "random",
    "reduced": "reduced",
}


class Cell(NamedTuple):
    """A mean over nets; nan of none."""

    mean: float
    nets: int


@dataclass(frozen=True)
class Boost:
    """A row of Table 1: how much better AnB+ is, keeping these layers, than the base nets and than BnB+.

    ``over_base`` and ``over_selffer`` are the paper's: means over all nets, in top-1. ``paired`` compares each net
    with the base net on its own half instead, since the halves are not equally hard.
    """

    first: int
    last: int
    over_base: float
    over_selffer: float
    paired: float
    nets: int


def figure2(points: Points) -> dict[tuple[str, int], Cell]:
    """Mean top-1 by family and layer on the random halves; the base nets are at layer 0."""
    cells = {("base", 0): _cell(points.main, "base", 0)}
    cells |= {(family, n): _cell(points.main, family, n) for family in FAMILIES for n in LAYERS}
    return cells


def _cell(points: Points, family: str, n: int) -> Cell:
    found = points.of(family, n)
    return Cell(mean(point.top1 for point in found), len(found))


def table1(points: Points) -> list[Boost]:
    """The paper's Table 1: layers 1-7, 3-7 and 5-7. Nets are averaged over, not layers."""
    main = points.main
    rows = []
    for first in (1, 3, 5):
        tuned, selffer = (
            [point for point in main.of(family) if point.n >= first] for family in ("transfer+", "selffer+")
        )
        top1 = mean(point.top1 for point in tuned)
        rows.append(
            Boost(
                first,
                7,
                top1 - mean(point.top1 for point in main.of("base")),
                top1 - mean(point.top1 for point in selffer),
                mean(point.top1 - main.base_of(point) for point in tuned),
                len(tuned),
            )
        )
    return rows


def relative(points: Points, kind: str) -> dict[int, Cell]:
    """Top-1 against the base by layer, for the relative part of Figure 3.

    Kind ``random split``: AnB minus the mean of all bases. ``natural / man-made``: the mean of both directions minus
    the mean of both bases. ``random weights``: nets with random lower layers minus the net on all classes.
    """
    if kind == "random split":
        base, nets = mean(p.top1 for p in points.main.of("base")), points.main.of("transfer")
    elif kind == "natural / man-made":
        base, nets = mean(p.top1 for p in points.natman.of("base")), points.natman.of("transfer")
    else:
        base, nets = mean(p.top1 for p in points.of("base", half="whole")), points.of("random")
    return {n: Cell(mean(p.top1 - base for p in nets if p.n == n), sum(p.n == n for p in nets)) for n in LAYERS}
