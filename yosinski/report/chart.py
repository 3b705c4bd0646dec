"""Charts as SVG text inside a page: no script, no request, and colours that follow the page's light or dark scheme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import floor, log10

import numpy as np
from numpy.typing import NDArray

from yosinski.report.figures import XY, Figure, Series

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 52


def chart(figure: Figure) -> str:
    """A figure as an <svg> element that scales with the page; points tell their names to a pointer."""
    ys = [y for series in figure.series for _, y in series.points]
    low, high, step = nice_range(min(ys), max(ys))
    xs = [x for x, _ in figure.ticks] + [x for series in figure.series for x, _ in series.points]
    first, last = (_log(x, figure.log) for x in (min(xs), max(xs)))
    pad = 0.03 * (last - first)

    def place(point: XY) -> XY:
        across = (_log(point[0], figure.log) - first + pad) / (last - first + 2 * pad)
        up = (point[1] - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(figure.title)}">']
    for value in (low + i * step for i in range(round((high - low) / step) + 1)):
        _, y = place((xs[0], value))
        shown = value if abs(value) > step / 2 else 0.0  # never -0.0
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{shown:.{decimals(step)}f}</text>')
    for at, word in figure.ticks:
        x, _ = place((at, low))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{escape(word)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(figure.x)}</text>')
    parts += [_series(series, place) for series in figure.series]
    return "".join([*parts, "</svg>"])


def _series(series: Series, place: Callable[[XY], XY]) -> str:
    places = [place(point) for point in series.points]
    kind = "ours" if series.ours else "original"
    parts = [f'<g class="c{series.colour} {kind}">']
    if series.line:
        parts.append(f'<path class="line" d="{path(places)}"/>')
    for i, (x, y) in enumerate(places):
        title = f"<title>{escape(series.labels[i])}</title>" if i < len(series.labels) else ""
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4">{title}</circle>')
    return "".join([*parts, "</g>"])


def legend(figure: Figure) -> str:
    """The names of a figure's series beside their marks, as HTML that wraps."""
    items = []
    for series in figure.series:
        kind = "ours" if series.ours else "original"
        dot = f'<g class="c{series.colour} {kind}"><circle cx="6" cy="6" r="4"/></g>'
        mark = f'<svg viewBox="0 0 12 12" class="mark">{dot}</svg>'
        items.append(f"<span>{mark}{escape(series.name)}</span>")
    return f'<p class="legend">{"".join(items)}</p>'


def curve(tests: NDArray[np.void], reference: NDArray[np.void] | None = None, points: int = 90) -> str:
    """A small chart of top-1 by iteration, thinned to ``points``; behind it a reference's, such as the original's."""
    both = [table for table in (reference, tests) if table is not None and len(table)]
    width, height = 360, 90
    last = max(int(table["iteration"][-1]) for table in both)
    top = max(float(table["top1"].max()) for table in both) or 1.0
    lines = []
    for table in both:
        chosen = table[np.unique(np.linspace(0, len(table) - 1, min(points, len(table))).astype(int))]
        xs, ys = 4 + (width - 8) * chosen["iteration"] / last, height - 4 - (height - 8) * chosen["top1"] / top
        kind = "reference" if table is reference else "own"
        lines.append(f'<path class="line {kind}" d="{path(list(zip(xs, ys, strict=True)))}"/>')
    words = f'<text x="{width - 6}" y="{height - 8}" text-anchor="end">iteration {last:,}</text>'
    words += f'<text x="6" y="14">{top:.3f}</text>'
    return f'<svg class="curve" viewBox="0 0 {width} {height}" role="img">{"".join(lines)}{words}</svg>'


def path(places: Sequence[XY]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def nice_range(low: float, high: float) -> tuple[float, float, float]:
    """Round limits around both, and a round step between 4 to 9 lines."""
    reach = max(high - low, 1e-3)
    step = 10 ** floor(log10(reach / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if reach / (step * factor) <= 8)
    return floor(low / step) * step, -floor(-max(high, low + reach) / step) * step, step


def decimals(step: float) -> int:
    return max(0, -floor(log10(step) + 1e-9))


def _log(x: float, log: bool) -> float:
    return log10(x) if log else x
