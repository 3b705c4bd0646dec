"""`yosinski time`: how long each layer takes, as `caffe time` prints it."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from yosinski.cli.options import device_option, find_device, model_argument, say_device, weights_option


@click.command()
@model_argument
@weights_option
@click.option("--iterations", type=click.IntRange(min=1), default=50, show_default=True, help="Passes to time.")
@click.option("--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN", show_default=True)
@click.option("--level", type=int, default=0, help="The net's level.")
@click.option("--stage", multiple=True, help="A stage of the net; may be repeated.")
@device_option
def time(
    model: Path,
    weights: str | None,
    iterations: int,
    phase: str,
    level: int,
    stage: tuple[str, ...],
    device: str,
) -> None:
    """Time the forward and backward pass of MODEL, layer by layer.

    MODEL is a net definition or a run directory.
    """
    from caffe_compat import glog
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2
    from yosinski.model import find_model

    glog.attach(sys.stderr)
    prototxt, files = find_model(model, weights)
    where = find_device(device)
    say_device(where, 342, 338)
    net = Net(prototxt, getattr(caffe_pb2, phase), level, list(stage))
    net.to(where)
    for file in files:
        net.copy_from(file)
    glog.info("caffe.cpp:351", "Performing Forward")
    glog.info("caffe.cpp:356", f"Initial loss: {float(net.forward_layers()):g}")
    glog.info("caffe.cpp:357", "Performing Backward")
    net.backward_layers()
    report(net, iterations)


def report(net: Any, iterations: int) -> None:
    """Time ``iterations`` passes; log with the words and the line numbers of caffe.cpp. Times are in ms."""
    from caffe_compat import glog

    glog.info("caffe.cpp:365", "*** Benchmark begins ***")
    glog.info("caffe.cpp:366", f"Testing for {iterations} iterations.")
    count = len(net.layers)
    forward, backward = [0.0] * count, [0.0] * count
    total = 0.0
    for iteration in range(iterations):
        start = clock(net)
        for i in range(count):
            began = clock(net)
            net.forward_layers(i, i)
            forward[i] += clock(net) - began
        for i in reversed(range(count)):
            began = clock(net)
            net.backward_layers(i, i)
            backward[i] += clock(net) - began
        net.clear_param_diffs()
        elapsed = clock(net) - start
        total += elapsed
        glog.info("caffe.cpp:394", f"Iteration: {iteration + 1} forward-backward time: {elapsed:g} ms.")
    glog.info("caffe.cpp:397", "Average time per layer: ")
    for i, layer in enumerate(net.layers):
        glog.info("caffe.cpp:400", f"{layer.name:>10}\tforward: {forward[i] / iterations:g} ms.")
        glog.info("caffe.cpp:403", f"{layer.name:>10}\tbackward: {backward[i] / iterations:g} ms.")
    glog.info("caffe.cpp:408", f"Average Forward pass: {sum(forward) / iterations:g} ms.")
    glog.info("caffe.cpp:410", f"Average Backward pass: {sum(backward) / iterations:g} ms.")
    glog.info("caffe.cpp:412", f"Average Forward-Backward: {total / iterations:g} ms.")
    glog.info("caffe.cpp:414", f"Total Time: {total:g} ms.")
    glog.info("caffe.cpp:415", "*** Benchmark ends ***")


def clock(net: Any) -> float:
    """Milliseconds on a clock that waits for the device."""
    import torch

    if net.device.type == "cuda":
        torch.cuda.synchronize(net.device)
    return perf_counter() * 1e3
