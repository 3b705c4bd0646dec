"""What the figures show: series of points and lines, for any way of drawing them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from yosinski.report.points import Point, Points, mean
from yosinski.report.tables import LAYERS, PAPER_NAMES, figure2, relative

XY = tuple[float, float]
KINDS = ("random split", "natural / man-made", "random weights")


@dataclass(frozen=True)
class Series:
    """Points of one kind.

    Attributes:
        colour: an index into the palette; one for each kind of net, the same in all figures.
        line: whether they are joined.
        ours: drawn filled and solid; originals are hollow and dashed.
        labels: of the points, shown where there is a pointer.
    """

    name: str
    colour: int
    points: list[XY]
    line: bool = False
    ours: bool = False
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """A chart; ``ticks`` are places and words on the x axis, ``log`` makes that logarithmic."""

    name: str
    title: str
    x: str
    y: str
    series: list[Series]
    ticks: list[tuple[float, str]]
    log: bool = False
    note: str = ""


COLOURS = {
    "base": 0,
    "selffer": 1,
    "selffer+": 2,
    "transfer": 3,
    "transfer+": 4,
    "random": 5,
    "reduced": 6,
    "natural": 7,
}
SPREAD = {"base": 0.0, "selffer": -0.24, "selffer+": -0.12, "transfer": 0.12, "transfer+": 0.24}  # beside each other
LAYER_TICKS = [(0.0, "base"), *((float(n), str(n)) for n in LAYERS)]


def all_figures(original: Points, ours: Points) -> list[Figure]:
    """Every figure for which there are nets."""
    both = [(original, False), (ours, True)]
    figures = [
        Figure(
            "figure2_nets",
            "Figure 2, each net",
            "layer n at which the net is cut and retrained",
            "top-1 accuracy",
            [one for points, mine in both for one in _nets(points.main, mine)],
            LAYER_TICKS,
            note="One mark a net; the random halves of all splits.",
        ),
        Figure(
            "figure2_means",
            "Figure 2, means",
            "layer n at which the net is cut and retrained",
            "top-1 accuracy",
            [one for points, mine in both for one in _means(points, mine)],
            LAYER_TICKS,
            note="Means over nets; AnB and BnA together, and AnA and BnB.",
        ),
        Figure(
            "figure3_natural_manmade",
            "Figure 3, natural and man-made",
            "layer n",
            "top-1 accuracy",
            [one for points, mine in both for one in _natman(points, mine)],
            LAYER_TICKS,
            note="Above: nets on the natural half, below: on the man-made half.",
        ),
        Figure(
            "figure3_random",
            "Figure 3, random weights",
            "layers 1 to n random and frozen",
            "top-1 accuracy",
            [one for points, mine in both for one in _random(points, mine)],
            LAYER_TICKS,
            note="On all 1000 classes. Layer 0: the net that learns all its layers.",
        ),
        Figure(
            "figure3_relative",
            "Figure 3, all relative to their bases",
            "layer n",
            "top-1 accuracy less that of the base",
            [one for points, mine in both for one in _relative(points, mine)],
            LAYER_TICKS,
        ),
        Figure(
            "reduced",
            "Fewer images a class",
            "training images a class",
            "top-1 accuracy",
            [one for points, mine in both for one in _reduced(points, mine)],
            [(float(size), str(size)) for size in (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)],
            log=True,
            note="Originals with 5 to 100 images a class never left their plateau." if original.all else "",
        ),
    ]
    return [figure for figure in figures if figure.series]


def _name(name: str, ours: bool) -> str:
    return f"{name}, ours" if ours else name


def _series(
    name: str, kind: str, ours: bool, points: list[XY], line: bool = False, labels: list[str] | None = None
) -> list[Series]:
    """The series, in a list; none where it has no points."""
    kept = [i for i, (_, y) in enumerate(points) if isfinite(y)]
    if not kept:
        return []
    said = [labels[i] for i in kept] if labels else []
    return [Series(_name(name, ours), COLOURS[kind], [points[i] for i in kept], line, ours, said)]


def _label(point: Point) -> str:
    return f"{point.name} {point.top1:.4f}"


def _nets(points: Points, ours: bool) -> list[Series]:
    found = []
    for family, shift in SPREAD.items():
        nets = points.of(family)
        places = [(point.n + shift, point.top1) for point in nets]
        found += _series(PAPER_NAMES[family], family, ours, places, labels=[_label(p) for p in nets])
    return found


def _means(points: Points, ours: bool) -> list[Series]:
    cells = figure2(points)
    base = cells["base", 0]
    found = _series("baseB", "base", ours, [(0, base.mean), (7, base.mean)], line=True)
    for family in SPREAD:
        if family != "base":
            cuts = [n for n in LAYERS if cells[family, n].nets]
            line = [(0.0, base.mean), *((float(n), cells[family, n].mean) for n in cuts)] if cuts else []
            labels = [
                f"{PAPER_NAMES[family]} {n}: {cells[family, n].mean:.4f}, {cells[family, n].nets} nets" for n in cuts
            ]
            found += _series(PAPER_NAMES[family], family, ours, line, True, ["base", *labels])
    return found


def _natman(points: Points, ours: bool) -> list[Series]:
    found = []
    for half, words, kind in (("A", "natural", "natural"), ("B", "man-made", "transfer")):
        nets = sorted(
            (p for family in ("base", "transfer") for p in points.natman.of(family, target=half)), key=lambda p: p.n
        )
        found += _series(f"on {words}", kind, ours, [(p.n, p.top1) for p in nets], True, [_label(p) for p in nets])
    return found


def _random(points: Points, ours: bool) -> list[Series]:
    nets = sorted([*points.of("base", half="whole"), *points.of("random")], key=lambda p: p.n)
    return _series("random", "random", ours, [(p.n, p.top1) for p in nets], True, [_label(p) for p in nets])


def _relative(points: Points, ours: bool) -> list[Series]:
    found = []
    for name, kind in zip(KINDS, ("transfer", "natural", "random"), strict=True):
        cells = relative(points, name)
        line = [(float(n), cell.mean) for n, cell in cells.items() if cell.nets and isfinite(cell.mean)]
        found += _series(name, kind, ours, [(0.0, 0.0), *line] if line else [], True)
    return found


def _reduced(points: Points, ours: bool) -> list[Series]:
    nets = sorted(points.of("reduced"), key=lambda p: p.split)
    places = [(float(p.split), p.top1) for p in nets]
    found = _series("reduced", "reduced", ours, places, True, [_label(p) for p in nets])
    whole = points.of("base", half="whole")
    if found and whole:
        found += _series("longer training", "base", ours, [(1300.0, mean(p.top1 for p in whole))])
    return found
