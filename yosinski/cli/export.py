"""`yosinski export`: a trained net as ONNX file and deploy prototxt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from yosinski.cli.options import PATH, Size, model_argument, state_options, weights_option


class Names(click.ParamType):
    """Names with commas between them."""

    name = "BLOBS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        return [name.strip() for name in value.split(",") if name.strip()]


def list_unsupported(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Print what has no ONNX form, and end."""
    if not wanted:
        return
    from caffe_compat.export.unsupported import unsupported

    for entry in unsupported():
        click.echo(f"{entry.type}{' (in part)' if entry.partly else ''}: {entry.reason}")
    ctx.exit()


@click.command()
@model_argument
@weights_option
@state_options
@click.option("--onnx", is_flag=True, default=True, help="Write ONNX; the only format, so it may be left out.")
@click.option("--mean", type=PATH, metavar="FILE", help="A mean file in place of the definition's mean.")
@click.option("--out", type=PATH, metavar="PATH", help="The ONNX file or its folder.  [default: beside the weights]")
@click.option("--outputs", "--output", type=Names(), multiple=True, help="Blobs to give out, comma-separated.")
@click.option("--with-preprocessing", is_flag=True, help="Crop, mean and scale in the model: uint8 BGR images go in.")
@click.option("--image-size", type=Size(), help="Of those images, where neither mean file nor database tells.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="Of the model's numbers.",
)
@click.option("--db", type=PATH, help="LMDB of labelled images to measure fp16 on.  [default: random pixels]")
@click.option(
    "--list-unsupported",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=list_unsupported,
    help="Print which layers cannot be exported, and why.",
)
def export(
    model: Path,
    weights: str | None,
    onnx: bool,
    mean: Path | None,
    out: Path | None,
    outputs: tuple[list[str], ...],
    **options: Any,
) -> None:
    """Write MODEL, a run directory or a definition with --weights, as an ONNX file with its deploy prototxt."""
    from yosinski.export import export_run

    blobs = [blob for names in outputs for blob in names]
    exported = export_run(model, weights, mean, out, outputs=blobs or None, **options)
    click.echo(f"{exported.onnx}\n{exported.deploy}")
    if exported.precision:
        click.echo(exported.precision.text)
