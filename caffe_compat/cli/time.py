"""``caffe time``: how long each layer takes."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from caffe_compat import glog
from caffe_compat.cli.brew import Flags, brew, single_device
from caffe_compat.cli.gflags import check

if TYPE_CHECKING:
    from caffe_compat.net import Net


@brew
def time(flags: Flags) -> None:
    """Benchmark model execution time."""
    check(flags.model, "caffe.cpp:329", "FLAGS_model.size() > 0 (0 vs. 0) Need a model definition to time.")
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2

    device = single_device(flags, 339, 0, 343)
    net = Net(flags.model, caffe_pb2.Phase.Value(flags.phase or "TRAIN"), flags.level, flags.stages)
    net.to(device)
    glog.info("caffe.cpp:351", "Performing Forward")
    glog.info("caffe.cpp:356", f"Initial loss: {float(net.forward_layers()):g}")
    glog.info("caffe.cpp:357", "Performing Backward")
    net.backward_layers()
    benchmark(net, flags.iterations)


def benchmark(net: Net, iterations: int) -> None:
    """Time ``iterations`` passes of a net; log the times of each layer and of the whole, in ms."""
    glog.info("caffe.cpp:365", "*** Benchmark begins ***")
    glog.info("caffe.cpp:366", f"Testing for {iterations} iterations.")
    net.debug_info = False  # the tool runs the layers by themselves
    count = len(net.layers)
    forward, backward = [0.0] * count, [0.0] * count
    total = 0.0
    for iteration in range(iterations):
        start = _clock(net)
        for i in range(count):
            began = _clock(net)
            net.forward_layers(i, i)
            forward[i] += _clock(net) - began
        for i in reversed(range(count)):
            began = _clock(net)
            net.backward_layers(i, i)
            backward[i] += _clock(net) - began
        elapsed = _clock(net) - start
        total += elapsed
        net.clear_param_diffs()
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


def _clock(net: Net) -> float:
    """Milliseconds, once the device has done what it was told."""
    import torch

    if net.device.type == "cuda":
        torch.cuda.synchronize(net.device)
    return perf_counter() * 1e3
