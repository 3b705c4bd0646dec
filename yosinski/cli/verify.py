"""`yosinski verify`: one net, the same images, several runtimes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from yosinski.cli.options import PATH, Device, model_argument, state_options, weights_option


@click.command()
@model_argument
@weights_option
@state_options
@click.option("--db", type=PATH, help="LMDB of labelled images.  [default: the TEST phase's]")
@click.option("--mean", type=PATH, metavar="FILE", help="A mean file in place of the definition's mean.")
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    metavar="NAME",
    help="torch, onnxruntime, onnx_check, onnx (its reference evaluator), openvino, opencv.  [default: all there are]",
)
@click.option("--per-layer", is_flag=True, help="Compare every blob as well, and name the first layer that departs.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N images only.")
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Images at a time.")
@click.option("--device", type=Device(), default="cpu", show_default=True, help="cpu or cuda:N, for the first three.")
@click.option("--json", "json_path", type=PATH, metavar="FILE", help="Write the figures there too; - for stdout only.")
def verify(
    model: Path,
    weights: str | None,
    level: int,
    stage: tuple[str, ...],
    db: Path | None,
    mean: Path | None,
    runtimes: tuple[str, ...],
    per_layer: bool,
    limit: int | None,
    batch: int,
    device: str,
    json_path: Path | None,
) -> None:
    """Run the same images through PyTorch, ONNX Runtime, the C++ checker and others, and compare what they say.

    MODEL is a run directory, a definition with --weights, or an exported .onnx in a run directory. Exits with 1 if
    the runtimes disagree, or if the file is not what its sources give. A runtime that this machine lacks is named, and
    the others are compared.
    """
    from caffe_compat.atomic import write_text
    from caffe_compat.errors import CaffeError
    from yosinski.device import find_device
    from yosinski.progress import counting
    from yosinski.verify_model import verify_model

    where = str(find_device(device))
    with counting(str(model)) as progress:
        chosen = {"runtimes": runtimes} if runtimes else {}
        report = verify_model(
            model,
            weights,
            db,
            mean,
            level=level,
            stage=stage,
            per_layer=per_layer,
            limit=limit,
            batch=batch,
            device=where,
            progress=progress,
            **chosen,
        )
    text = json.dumps(report.to_json(), indent=2)
    if str(json_path) == "-":
        click.echo(text)
    else:
        from yosinski.verify_tables import layer_table, runtime_table

        if report.layers is not None:
            print_table(layer_table(report.layers))
        print_table(runtime_table(report))
        if json_path is not None:
            write_text(json_path, text + "\n")
    for reason in report.unavailable.values():
        click.echo(f"yosinski: not compared: {reason}", err=True)
    if not report.ok:
        raise CaffeError(f"{model}: {report.verdict}")


def print_table(table: object) -> None:
    """Print a rich table at its natural width where output is no terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120).print(table)
