"""`yosinski export`: a trained net as ONNX file and deploy prototxt."""

from __future__ import annotations

from pathlib import Path

import click

from yosinski.cli.options import PATH, model_argument, weights_option


@click.command()
@model_argument
@weights_option
@click.option("--onnx", is_flag=True, default=True, help="Write ONNX; the only format, so it may be left out.")
@click.option("--mean", type=PATH, metavar="FILE", help="A mean file in place of the definition's mean.")
@click.option("--out", type=PATH, metavar="PATH", help="The ONNX file or its folder; default: beside the weights.")
@click.option("--output", "outputs", multiple=True, metavar="BLOB", help="A blob to give out; may be repeated.")
def export(
    model: Path, weights: str | None, onnx: bool, mean: Path | None, out: Path | None, outputs: tuple[str, ...]
) -> None:
    """Write MODEL, a run directory or a definition with --weights, as an ONNX file with its deploy prototxt."""
    from yosinski.export import export_run

    exported = export_run(model, weights, mean, out, outputs=outputs or None)
    click.echo(f"{exported.onnx}\n{exported.deploy}")
