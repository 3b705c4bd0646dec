"""``caffe test``: the scores of a trained net."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe_compat import glog
from caffe_compat.cli.brew import Flags, brew, single_device
from caffe_compat.cli.gflags import check

if TYPE_CHECKING:
    from caffe_compat.net import Net


@brew
def test(flags: Flags) -> None:
    """Score a model."""
    check(flags.model, "caffe.cpp:258", "FLAGS_model.size() > 0 (0 vs. 0) Need a model definition to score.")
    check(flags.weights, "caffe.cpp:259", "FLAGS_weights.size() > 0 (0 vs. 0) Need model weights to score.")
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2

    device = single_device(flags, 266, 270, 275)
    net = Net(flags.model, caffe_pb2.TEST, flags.level, flags.stages)
    net.to(device)
    for path in flags.weights.split(","):
        net.copy_from(path)
    score(net, flags.iterations)


def score(net: Net, iterations: int) -> None:
    """Run batches of a net; log each output, then the means, summed in float32 in the order of the batches."""
    import numpy as np

    glog.info("caffe.cpp:281", f"Running for {iterations} iterations.")
    loss = np.float32(0)
    sums: dict[str, np.ndarray] = {}
    for batch in range(iterations):
        loss += np.float32(float(net.forward_layers()))
        for name, blob in net.output_blobs.items():
            values = np.asarray(blob.tensor.cpu(), np.float32).ravel()
            sums[name] = sums[name] + values if batch else values.copy()
            for value in values:
                glog.info("caffe.cpp:304", f"Batch {batch}, {name} = {value:g}")
    glog.info("caffe.cpp:309", f"Loss: {loss / np.float32(iterations):g}")
    for name, totals in sums.items():
        weight = np.float32(net.loss_weight(name))
        for mean in totals / np.float32(iterations):
            weighted = f" (* {weight:g} = {weight * mean:g} loss)" if weight else ""
            glog.info("caffe.cpp:321", f"{name} = {mean:g}{weighted}")
