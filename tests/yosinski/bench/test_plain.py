"""The plain torch side of the benchmarks does the same work as the study's nets."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from yosinski.bench.plain import PlainCaffeNet, PlainLoop, forever
from yosinski.bench.plain_data import LmdbImages, batches
from yosinski.caffenet import FULL, MINI, CaffeNet
from yosinski.demo_data import write_demo_data
from yosinski.resources import prototxt_dir


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Demo data that nobody else has open: lmdb opens a database once in a process."""
    write_demo_data(tmp_path / "mini")
    return tmp_path / "mini"


@pytest.mark.parametrize("size, prototxt", [(FULL, "base_A"), (MINI, "mini/base_A")])
def test_it_computes_what_the_prototxt_says(size: CaffeNet, prototxt: str) -> None:
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2, filter_net, read_net

    definition = filter_net(read_net(prototxt_dir() / f"{prototxt}.prototxt"), caffe_pb2.NetState(phase=caffe_pb2.TEST))
    definition.layer[0].Clear()
    definition.layer[0].CopyFrom(caffe_pb2.LayerParameter(name="data", type="Input", top=["data", "label"]))
    definition.layer[0].input_param.shape.add(dim=(2, size.channels, size.crop, size.crop))
    definition.layer[0].input_param.shape.add(dim=(2,))
    ours, plain = Net(definition, caffe_pb2.TEST), PlainCaffeNet(size).eval()
    images = 50 * torch.randn(2, size.channels, size.crop, size.crop)
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            layer, _, kind = name.partition(".")
            parameter.copy_(ours.params[layer][kind == "bias"].tensor.view_as(parameter))
        ours.blobs["data"].tensor.copy_(images)
        ours.forward_layers()
        torch.testing.assert_close(plain(images), ours.blobs["fc8"].tensor, rtol=1e-3, atol=1e-4)


def test_images_are_crops_less_the_mean(data: Path) -> None:
    from caffe_compat.data.datum import parse
    from caffe_compat.data.db import open_db
    from caffe_compat.data.mean import read_mean

    shutil.copytree(data / "A_train_lmdb", data / "copy")
    with open_db(data / "copy") as db:
        datum = parse([bytes(record) for _, record in db.records()][7])
    image, label = LmdbImages(data / "A_train_lmdb", data / "A_mean.binaryproto", 24)[7]
    assert image.shape == (1, 24, 24) and image.dtype == torch.float32
    whole = datum.image().astype(np.float32) - read_mean(data / "A_mean.binaryproto")
    windows = [whole[:, y : y + 24, x : x + 24] for y in range(5) for x in range(5)]
    assert any((image.numpy() == window[:, :, ::step]).all() for window in windows for step in (1, -1))
    assert label == datum.label


def test_the_loop_learns(data: Path) -> None:
    torch.manual_seed(1)
    loader = batches(LmdbImages(data / "A_train_lmdb", data / "A_mean.binaryproto", 24), 64, workers=0)
    loop = PlainLoop(PlainCaffeNet(MINI), forever(loader), rate=0.006, decay=0.005, step_size=750)
    assert loop.step(1) == pytest.approx(np.log(10), abs=0.3)
    loop.step(40)
    assert loop.step(1) < 1.5
    weights, biases = loop.optimizer.param_groups
    assert (weights["lr"], weights["weight_decay"], biases["lr"], biases["weight_decay"]) == (0.006, 0.005, 0.012, 0)
