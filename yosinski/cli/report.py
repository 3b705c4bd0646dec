"""`yosinski report`: the paper's figures, its table and its claims, from originals and runs."""

from __future__ import annotations

from pathlib import Path

import click

from yosinski.cli.options import PATH, Split


@click.command()
@click.argument("runs", metavar="[RUN...]", nargs=-1, type=PATH)
@click.option("--out", type=PATH, default=Path("report"), metavar="DIR", show_default=True, help="Where the files go.")
@click.option("--split", type=Split(), help="Of runs of which neither run.json nor folder says it.")
@click.option("--no-original", is_flag=True, help="Leave the original nets out.")
@click.option("--html", "html_only", is_flag=True, help="The page only; figures as PNG and PDF need matplotlib.")
def report(runs: tuple[Path, ...], out: Path, split: str | None, no_original: bool, html_only: bool) -> None:
    """Draw the study's figures and compute its table and claims, from the original nets and RUN directories.

    Writes index.html, which needs nothing else, and each figure as PNG and PDF. A run that cannot be taken in is
    named on the page and on stderr.
    """
    from caffe_compat.atomic import write_text
    from caffe_compat.errors import CaffeError
    from yosinski.report.figures import all_figures
    from yosinski.report.page import report_page
    from yosinski.report.points import Points, original_points, run_points

    found, left_out = run_points(runs, split)
    original, ours = Points([] if no_original else original_points()), Points(found)
    if not original.all and not ours.all:
        raise CaffeError(left_out[0] if left_out else "--no-original and no RUN: nothing to report")
    write_text(out / "index.html", report_page(original, ours, left_out))
    click.echo(out / "index.html")
    if not html_only:
        from yosinski.report.plot import write_figures

        for path in write_figures(all_figures(original, ours), out):
            click.echo(path)
    for line in left_out:
        click.echo(f"yosinski: left out: {line}", err=True)
    if left_out:
        raise click.exceptions.Exit(1)
