"""`yosinski demo`: the whole path, from images to checked ONNX files, in a few minutes."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yosinski.cli.options import PATH

if TYPE_CHECKING:
    from yosinski.demo import Progress


@click.command()
@click.option(
    "--out", type=PATH, default=Path("runs/demo"), show_default=True, metavar="DIR", help="Where it all goes."
)
@click.option("--max-iter", type=click.IntRange(min=1), help="Instead of the solver's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of the table.")
def demo(out: Path, max_iter: int | None, as_json: bool) -> None:
    """Train six small nets of the study on real images, export them, and check them in three runtimes.

    The images are Fashion-MNIST's, split into halves A and B of five classes. Called again, it goes on where it was.
    """
    from caffe_compat.errors import CaffeError
    from yosinski.cli.verify import print_table
    from yosinski.demo import run_demo

    began = time.perf_counter()
    with shown(max_iter) as progress:
        reports = run_demo(out, max_iter, progress)
    seconds = time.perf_counter() - began
    if as_json:
        found = {name: report.to_json() for name, report in reports.items()}
        click.echo(json.dumps({"seconds": seconds, "nets": found}, indent=2))
    else:
        print_table(table(reports))
        click.echo(f"{seconds:.0f} s; runs, snapshots, logs and ONNX files are in {out}")
    for missing in dict.fromkeys(line for report in reports.values() for line in report.unavailable.values()):
        click.echo(f"yosinski: not compared: {missing}", err=True)
    for name, report in reports.items():
        if not report.ok:
            raise CaffeError(f"{name}: {report.verdict}")


def table(reports: dict[str, Any]) -> Any:
    """One row a net: its accuracy in the first runtime, and what the others make of it."""
    from rich.table import Table

    from yosinski.demo import REFERENCE
    from yosinski.net_names import parse_name

    found = Table(title="Transfer between halves A and B of Fashion-MNIST")
    for title in ("net", "trained on", "top-1", f"against {REFERENCE}", "runtimes", "max |Δ|", "agree"):
        found.add_column(title, justify="left" if title in ("net", "trained on", "runtimes") else "right")
    top1 = {name: next(iter(report.judged.values()))["top1"] for name, report in reports.items()}
    target = parse_name(REFERENCE).target
    for name, report in reports.items():
        same = parse_name(name).target == target and name != REFERENCE
        change = f"{top1[name] - top1[REFERENCE]:+.4f}" if same else ""
        delta = "-" if math.isnan(report.max_delta) else f"{report.max_delta:.1e}"
        verdict = "yes" if report.ok else "NO"
        half = f"half {parse_name(name).target}"
        found.add_row(name, half, f"{top1[name]:.4f}", change, ", ".join(report.answers), delta, verdict)
    return found


@contextmanager
def shown(max_iter: int | None) -> Iterator[Progress]:
    """Progress on stderr: a bar for each net on a terminal, else a line whenever something new happens to one."""
    lock = threading.Lock()
    stages: dict[str, str] = {}

    def lines(name: str, stage: str, done: int) -> None:
        with lock:
            if stages.get(name) != stage:
                stages[name] = stage
                click.echo(f"{name:<14} {stage}", err=True)

    if not sys.stderr.isatty():
        yield lines
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from yosinski.definition import read_definition
    from yosinski.resources import find_prototxt

    total = max_iter or read_definition(find_prototxt(Path("mini/solver"))).max_iter
    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(),
        TextColumn("{task.fields[stage]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as bars:
        tasks: dict[str, Any] = {}

        def move(name: str, stage: str, done: int) -> None:
            with lock:
                if name not in tasks:
                    tasks[name] = bars.add_task(name, total=total, stage=stage)
                bars.update(tasks[name], completed=done, stage=stage)

        yield move
