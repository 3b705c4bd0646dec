"""`yosinski test`: the scores of a trained net, as `caffe test` prints them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from yosinski.cli.options import (
    compat_option,
    device_option,
    model_argument,
    precision_option,
    state_options,
    weights_option,
)


@click.command()
@model_argument
@weights_option
@click.option("--iterations", type=click.IntRange(min=1), default=50, show_default=True, help="Batches to run.")
@state_options
@device_option
@compat_option
@precision_option
def test(
    model: Path,
    weights: str | None,
    iterations: int,
    level: int,
    stage: tuple[str, ...],
    device: str,
    compat: str | None,
    precision: str | None,
) -> None:
    """Run MODEL's TEST phase and print the mean of each output.

    MODEL is a net definition with --weights, or a run directory.
    """
    from caffe_compat import glog
    from caffe_compat import precision as precisions
    from caffe_compat.cli.test import score
    from caffe_compat.compat import use
    from caffe_compat.errors import CaffeError
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2
    from yosinski.device import find_device, say_device
    from yosinski.model import find_model
    from yosinski.run_dir import RunDir

    glog.attach(sys.stderr)
    prototxt, files = find_model(model, weights)
    if not files:
        raise CaffeError(f"{model}: Need model weights to score; --weights names them")
    where = find_device(device)
    say_device(where, 275, 266)
    meta = RunDir(prototxt.parent).meta
    as_trained = use(compat or meta.get("compat", "1.0"))
    with as_trained, precisions.use(precision or meta.get("precision", "fp32")):
        net = Net(prototxt, caffe_pb2.TEST, level, list(stage))
    net.to(where)
    for file in files:
        net.copy_from(file)
    score(net, iterations)
