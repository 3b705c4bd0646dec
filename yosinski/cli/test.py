"""`yosinski test`: the scores of a trained net, as `caffe test` prints them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from yosinski.cli.options import device_option, find_device, model_argument, say_device, weights_option


@click.command()
@model_argument
@weights_option
@click.option("--iterations", type=click.IntRange(min=1), default=50, show_default=True, help="Batches to run.")
@click.option("--level", type=int, default=0, help="The net's level.")
@click.option("--stage", multiple=True, help="A stage of the net; may be repeated.")
@device_option
def test(
    model: Path,
    weights: str | None,
    iterations: int,
    level: int,
    stage: tuple[str, ...],
    device: str,
) -> None:
    """Run MODEL's TEST phase and print the mean of each output.

    MODEL is a net definition with --weights, or a run directory.
    """
    from caffe_compat import glog
    from caffe_compat.errors import CaffeError
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2
    from yosinski.model import find_model

    glog.attach(sys.stderr)
    prototxt, files = find_model(model, weights)
    if not files:
        raise CaffeError(f"{model}: Need model weights to score; --weights names them")
    where = find_device(device)
    say_device(where, 275, 272)
    net = Net(prototxt, caffe_pb2.TEST, level, list(stage))
    net.to(where)
    for file in files:
        net.copy_from(file)
    report(net, iterations)


def report(net: Any, iterations: int) -> None:
    """Run the batches; log each score and the means, with the words and the line numbers of caffe.cpp."""
    import numpy as np

    from caffe_compat import glog

    glog.info("caffe.cpp:281", f"Running for {iterations} iterations.")
    loss = np.float32(0)
    sums: dict[str, np.ndarray] = {}
    for batch in range(iterations):
        loss += np.float32(net.forward_layers())
        for name, blob in net.output_blobs.items():
            values = np.asarray(blob.tensor.cpu(), np.float32).ravel()
            sums[name] = sums[name] + values if name in sums else values.copy()
            for value in values:
                glog.info("caffe.cpp:304", f"Batch {batch}, {name} = {value:g}")
    glog.info("caffe.cpp:309", f"Loss: {loss / np.float32(iterations):g}")
    for name, totals in sums.items():
        weight = np.float32(net.loss_weight(name))
        for mean in totals / np.float32(iterations):
            weighted = f" (* {weight:g} = {weight * mean:g} loss)" if weight else ""
            glog.info("caffe.cpp:321", f"{name} = {mean:g}{weighted}")
