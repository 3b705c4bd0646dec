"""Measurements for people: a table for each comparison."""

from __future__ import annotations

import statistics
import sys
from typing import Any

import click

from yosinski.bench.comparison import LOWER, Comparison, Ratio, spread


def show(comparison: Comparison) -> None:
    """Print a comparison: with frames on a terminal, as plain columns elsewhere."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 120, highlight=False)
    click.echo(comparison.title)
    if comparison.samples:
        table = Table(box=box.ROUNDED if terminal else None, pad_edge=terminal, show_edge=terminal)
        table.add_column("" if terminal else "  ")
        for header in ("median", "quartiles", *([f"{comparison.unit}/s"] if comparison.work else [])):
            table.add_column(header, justify="right", no_wrap=True)
        for name in comparison.samples:
            table.add_row(name if terminal else f"  {name}", *cells(comparison, name))
        console.print(table)
    for ratio in comparison.ratios:
        click.echo(f"  {ratio.name}: {verdict(comparison, ratio)}")
    for what, value in comparison.facts.items():
        click.echo(f"  {what}: {value if isinstance(value, str) else figure(value)}")
    click.echo("")


def cells(comparison: Comparison, name: str) -> list[str]:
    samples = comparison.samples[name]
    median = statistics.median(samples)
    low, high = spread(samples)
    unit, factor = ("s", 1) if median >= 1 else ("ms", 1e3)
    found = [f"{figure(factor * median)} {unit}", f"{figure(factor * low)} .. {figure(factor * high)}"]
    return [*found, figure(comparison.rate(name))] if comparison.work else found


def verdict(comparison: Comparison, ratio: Ratio) -> str:
    value = comparison.value(ratio)
    if ratio.goal is None:
        return f"{value:.2f}"
    most = ratio.better == LOWER
    met = value <= ratio.goal if most else value >= ratio.goal
    return f"{value:.2f} (goal: {'at most' if most else 'at least'} {ratio.goal:g}{'' if met else '; missed'})"


def figure(value: float) -> str:
    """Three digits that count, or all those before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) < 10 else 1}f}"


class Live:
    """The line on stderr that says what is being measured; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._status: Any = None

    def __enter__(self) -> Live:
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(file=sys.stderr).status("measuring")
            self._status.start()
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._status is not None:
            self._status.update(f"{what}: {done} of {total}")

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
