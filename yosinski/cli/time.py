"""`yosinski time`: how long each layer takes, as `caffe time` prints it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from yosinski.cli.options import (
    device_option,
    model_argument,
    precision_option,
    state_options,
    weights_option,
)


@click.command()
@model_argument
@weights_option
@click.option("--iterations", type=click.IntRange(min=1), default=50, show_default=True, help="Passes to time.")
@click.option(
    "--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN", show_default=True, help="The net's phase."
)
@state_options
@device_option
@precision_option
def time(
    model: Path,
    weights: str | None,
    iterations: int,
    phase: str,
    level: int,
    stage: tuple[str, ...],
    device: str,
    precision: str | None,
) -> None:
    """Time the forward and backward pass of MODEL, layer by layer.

    MODEL is a net definition or a run directory.
    """
    from caffe_compat import glog
    from caffe_compat import precision as precisions
    from caffe_compat.cli.time import benchmark
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2
    from yosinski.device import find_device, say_device
    from yosinski.model import find_model

    glog.attach(sys.stderr)
    prototxt, files = find_model(model, weights)
    where = find_device(device)
    say_device(where, 343, 339)
    with precisions.use(precision or "fp32"):
        net = Net(prototxt, getattr(caffe_pb2, phase), level, list(stage))
    net.to(where)
    for file in files:
        net.copy_from(file)
    glog.info("caffe.cpp:351", "Performing Forward")
    glog.info("caffe.cpp:356", f"Initial loss: {float(net.forward_layers()):g}")
    glog.info("caffe.cpp:357", "Performing Backward")
    net.backward_layers()
    benchmark(net, iterations)
