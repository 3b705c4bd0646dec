"""The study's nets for measuring: two sizes, images of noise in the place of their databases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from caffe_compat import rng
from caffe_compat.host_memory import reuse_blobs
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, filter_net, read_net, read_solver
from caffe_compat.solver import Solver
from yosinski import caffenet
from yosinski.caffenet import CaffeNet
from yosinski.resources import prototxt_dir


@dataclass(frozen=True)
class Size:
    """A size of the study's nets.

    Attributes:
        name, title: in files, and for people.
        net: its layers.
        base, frozen: definitions by their names: a net that learns all, and one whose copied layers are frozen.
        solver: their solver.
        batch, gpu_batch: images in a pass, on a CPU and on a GPU.
        passes: in a round, so that a round lasts long enough to be timed well.
    """

    name: str
    title: str
    net: CaffeNet
    base: str
    frozen: str
    solver: str
    batch: int
    gpu_batch: int
    passes: int

    def images(self, device: torch.device) -> int:
        """Images in a pass on that device."""
        return self.gpu_batch if device.type == "cuda" else self.batch


@dataclass(frozen=True)
class Images:
    """An LMDB and the file of its mean image."""

    db: Path
    mean: Path


FULL = Size("full", "CaffeNet", caffenet.FULL, "base_A", "transfer_A7B", "solver", 64, 256, 1)
MINI = Size("mini", "mini net", caffenet.MINI, "mini/base_A", "mini/transfer_A3B", "mini/solver", 64, 64, 50)
SIZES = {size.name: size for size in (FULL, MINI)}


def build(size: Size, batch: int, device: torch.device) -> Net:
    """The net that learns all its layers, for training, with noise as its images."""
    reuse_blobs()  # as every solver does; plain torch in the same process gains from it too
    rng.set_random_seed(1)
    net = Net(without_data(size, size.base, batch), caffe_pb2.TRAIN)
    net.to(device)
    fill(net, size)
    return net


def build_solver(
    size: Size, name: str, batch: int, device: torch.device, images: Images | None = None, graphs: bool = False
) -> Solver:
    """The solver of a definition, as `yosinski train` has it, but for tests and snapshots; without images noise."""
    param = read_solver(prototxt_dir() / f"{size.solver}.prototxt")
    for field in ("net", "test_iter", "test_interval", "snapshot"):
        param.ClearField(field)
    if images is None:
        param.net_param.CopyFrom(without_data(size, name, batch))
    else:
        param.net_param.CopyFrom(training_net(name))
        (data,) = (layer for layer in param.net_param.layer if layer.type == "Data")
        data.data_param.source, data.data_param.batch_size = str(images.db), batch
        data.transform_param.mean_file = str(images.mean)
    param.random_seed = 1
    solver = Solver(param, net_class=Net, device=device, exact=True, graphs=graphs)
    if images is None:
        fill(solver.net, size)
    return solver


def training_net(name: str) -> Any:
    """A definition, by its name, as it is trained."""
    return filter_net(read_net(prototxt_dir() / f"{name}.prototxt"), caffe_pb2.NetState(phase=caffe_pb2.TRAIN))


def without_data(size: Size, name: str, batch: int) -> Any:
    """A definition's training net, with Input layers in the place of its data layer."""
    definition = training_net(name)
    (data,) = (layer for layer in definition.layer if layer.type == "Data")
    data.type = "Input"
    for field in ("include", "transform_param", "data_param"):
        data.ClearField(field)
    data.input_param.shape.add(dim=(batch, size.net.channels, size.net.crop, size.net.crop))
    data.input_param.shape.add(dim=(batch,))
    return definition


def fill(net: Net, size: Size) -> None:
    images, labels = noise(size, net.blobs["data"].shape[0], net.device)
    net.blobs["data"].tensor.copy_(images)
    net.blobs["label"].tensor.copy_(labels)


def noise(size: Size, batch: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Images, float32 batch x channels x crop x crop, with the spread of real ones less their mean, and labels."""
    like = torch.Generator().manual_seed(1)
    images = 50 * torch.randn(batch, size.net.channels, size.net.crop, size.net.crop, generator=like)
    labels = torch.randint(size.net.layers[-1].num_output, (batch,), generator=like)
    return images.to(device), labels.to(device)


def gflop(net: Net) -> float:
    """Operations in the products of one pass each way: each layer three times, but for the images' own gradient."""
    total = 0.0
    for layer, wiring in zip(net.layers, net.wirings, strict=True):
        if layer.type in ("Convolution", "InnerProduct"):
            batch, _, *pixels = net.blobs[wiring.tops[0]].shape
            products = 2 if wiring.bottoms[0] == "data" else 3
            total += 2.0 * products * batch * layer.params[0].numel() * torch.Size(pixels).numel()
    return total / 1e9
