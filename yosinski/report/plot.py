"""The figures as PNG and PDF, drawn by matplotlib. It is an extra: ``pip install yosinski[report]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError
from yosinski.report.figures import Figure

PALETTE = ("#1b1b1f", "#1f4fd8", "#3aa0e8", "#c62828", "#ef7d32", "#6a737d", "#7b3fb5", "#1f8a4c")


def write_figures(figures: list[Figure], folder: Path) -> Iterator[Path]:
    """Write each figure as PNG and PDF and give the paths. CaffeError if matplotlib is not there."""
    try:
        import matplotlib
    except ImportError:
        raise CaffeError("figures need matplotlib: pip install 'yosinski[report]', or choose --html only") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    for figure in figures:
        drawing, axes = pyplot.subplots(figsize=(7.2, 4.6), layout="constrained")
        draw(axes, figure)
        for suffix in ("png", "pdf"):
            path = folder / f"{figure.name}.{suffix}"
            with writing(path) as temporary:
                # without the date, the same numbers give the same file
                metadata = {"CreationDate": None} if suffix == "pdf" else {}
                drawing.savefig(temporary, format=suffix, dpi=160, metadata=metadata)
            yield path
        pyplot.close(drawing)


def draw(axes: Any, figure: Figure) -> None:
    """Draw a figure into matplotlib axes: ours filled and solid, originals hollow and dashed."""
    for series in figure.series:
        colour = PALETTE[series.colour]
        xs, ys = zip(*series.points, strict=True)
        axes.plot(
            xs,
            ys,
            color=colour,
            linestyle=("-" if series.ours else "--") if series.line else "none",
            marker="o",
            markersize=5,
            markerfacecolor=colour if series.ours else "none",
            linewidth=1.4,
            label=series.name,
        )
    if figure.log:
        axes.set_xscale("log")
    axes.set_xticks([x for x, _ in figure.ticks], [word for _, word in figure.ticks], minor=False)
    axes.minorticks_off()
    axes.set_title(figure.title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(figure.x)
    axes.set_ylabel(figure.y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
