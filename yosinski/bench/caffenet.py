"""CaffeNet, forward and backward: this runtime, the machine's own matrix product, and plain torch modules."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass

import torch
from torch import nn

from caffe_compat import rng
from caffe_compat.host_memory import reuse_blobs
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, filter_net, read_net
from yosinski.bench import seconds
from yosinski.bench.plain import PlainCaffeNet
from yosinski.caffenet import FULL
from yosinski.resources import prototxt_dir

SGEMM_SIZE = 2048  # large enough for the product to run at its full rate
SGEMM_TIMES = 10  # products in a round, to last about as long as a pass and suffer as much from other processes


@dataclass(frozen=True)
class CaffeNetTimes:
    """Medians over interleaved rounds, so that a busy machine slows all of them alike.

    Attributes:
        batch: images in a pass.
        gflop: float32 operations in the matrix products of one forward and backward pass, 2 for a multiply-add.
        sgemm_gflops: the rate of a large square float32 product, in GFLOP/s.
        bound_s: the time that the pass would take if it were nothing but products at that rate.
        caffe_compat_s, torch_s: seconds for one pass of this runtime and of plain torch modules.
    """

    batch: int
    gflop: float
    sgemm_gflops: float
    bound_s: float
    caffe_compat_s: float
    torch_s: float

    def figures(self) -> dict[str, float]:
        """All of it, and the ratios to the bound, ready for JSON."""
        ours, plain = self.caffe_compat_s / self.bound_s, self.torch_s / self.bound_s
        return {**asdict(self), "caffe_compat_x_bound": ours, "torch_x_bound": plain}


def measure(batch: int = 64, rounds: int = 5) -> CaffeNetTimes:
    """Time ``rounds`` passes of each; weights are the study's fillers', images are noise."""
    reuse_blobs()  # as every solver does; plain torch gains from it too
    net = caffenet(batch)
    plain, images, labels = (
        PlainCaffeNet(FULL),
        torch.randn(batch, 3, FULL.crop, FULL.crop),
        torch.randint(1000, (batch,)),
    )
    net.blobs["data"].tensor.copy_(images)
    net.blobs["label"].tensor.copy_(labels)
    square = torch.randn(SGEMM_SIZE, SGEMM_SIZE)
    product = torch.empty_like(square)

    def caffe_compat_pass() -> None:
        net.clear_param_diffs()
        net.forward_backward()

    def torch_pass() -> None:
        plain.zero_grad()
        nn.functional.cross_entropy(plain(images), labels).backward()

    def products() -> None:
        for _ in range(SGEMM_TIMES):
            torch.mm(square, square, out=product)

    runs = [products, caffe_compat_pass, torch_pass]
    for run in runs:
        run()
    times = zip(*([seconds(run) for run in runs] for _ in range(rounds)), strict=True)
    sgemm_s, ours_s, torch_s = (statistics.median(column) for column in times)
    rate = SGEMM_TIMES * 2 * SGEMM_SIZE**3 / sgemm_s / 1e9
    work = gflop(net)
    return CaffeNetTimes(batch, work, rate, work / rate, ours_s, torch_s)


def caffenet(batch: int) -> Net:
    """The study's full-size net for training, its data layer replaced by an Input layer."""
    state = caffe_pb2.NetState(phase=caffe_pb2.TRAIN)
    definition = filter_net(read_net(prototxt_dir() / "base_A.prototxt"), state)
    (data,) = (layer for layer in definition.layer if layer.type == "Data")
    crop = data.transform_param.crop_size
    data.type = "Input"
    data.ClearField("include")
    data.input_param.shape.add(dim=(batch, FULL.channels, crop, crop))
    data.input_param.shape.add(dim=(batch,))
    rng.set_random_seed(1)
    return Net(definition, caffe_pb2.TRAIN)


def gflop(net: Net) -> float:
    """Operations in the products of one pass each way: each layer three times, but for the images' own gradient."""
    total = 0.0
    for layer, wiring in zip(net.layers, net.wirings, strict=True):
        if layer.type in ("Convolution", "InnerProduct"):
            batch, _, *pixels = net.blobs[wiring.tops[0]].shape
            products = 2 if wiring.bottoms[0] == "data" else 3
            total += 2.0 * products * batch * layer.params[0].numel() * torch.Size(pixels).numel()
    return total / 1e9
