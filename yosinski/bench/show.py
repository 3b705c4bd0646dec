"""Measurements for people: a table for each comparison."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Any

import click

from yosinski.bench.comparison import LOWER, Comparison, Ratio, spread


def show(comparison: Comparison) -> None:
    """Print a comparison: with frames on a terminal, as plain columns elsewhere."""
    click.echo(comparison.title)
    if comparison.table:
        show_rows(*pivoted(comparison))
    elif comparison.samples:
        headers = ["", "median", "quartiles", *([f"{comparison.unit}/s"] if comparison.work else [])]
        show_rows(headers, [[name, *cells(comparison, name)] for name in comparison.samples])
    for ratio in comparison.ratios:
        click.echo(f"  {ratio.name}: {verdict(comparison, ratio)}")
    for what, value in comparison.facts.items():
        click.echo(f"  {what}: {value if isinstance(value, str) else figure(value)}")
    click.echo("")


def show_rows(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; all columns but the first are to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    table = Table(box=box.ROUNDED if terminal else None, pad_edge=terminal)
    table.add_column(headers[0])
    for header in headers[1:]:
        table.add_column(header, justify="right", no_wrap=True)
    for first, *others in rows:
        table.add_row(first if terminal else f"  {first}", *others)
    Console(width=None if terminal else 120, highlight=False).print(table)


def pivoted(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of a comparison whose contenders are named "ROW: COLUMN": medians in ms."""
    names = [name.rpartition(": ") for name in comparison.samples]
    columns = list(dict.fromkeys(column for _, _, column in names))
    rows = []
    for row in dict.fromkeys(row for row, _, _ in names):
        values = [statistics.median(comparison.samples[f"{row}: {column}"]) for column in columns]
        rows.append([row, *(figure(1e3 * value) for value in values)])
    return ["ms", *columns], rows


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
            self._status.update(f"{what}: {done} of {total} rounds")
            self._status.start()

    def clear(self) -> None:
        """Take the line away, for something to be printed in its place; the next call brings it back."""
        if self._status is not None:
            self._status.stop()

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
