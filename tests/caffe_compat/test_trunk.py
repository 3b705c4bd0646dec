"""Nets that share the forward of their frozen layers have the values that they have alone."""

from __future__ import annotations

from contextvars import Context, copy_context
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat import rng
from caffe_compat.data import stream
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text
from caffe_compat.trunk import Trunk, TrunkNet

FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"
START = """
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "db" batch_size: 3 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" %s
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.1 } } }
"""
END = """
layer { name: "ip" type: "InnerProduct" bottom: "%s" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    with create_db("db", "lmdb") as db:
        for i in range(7):
            pixels = random.integers(0, 256, (2, 6, 6), np.uint8).tobytes()
            db.put(b"%d" % i, serialize(caffe_pb2.Datum(channels=2, height=6, width=6, data=pixels, label=i % 3)))


def definition(middle: str, end: str, lr: str = FROZEN) -> caffe_pb2.NetParameter:
    param = text.parse(START % lr + middle + END % end, caffe_pb2.NetParameter, source="net")
    param.state.phase = caffe_pb2.TRAIN
    return param


def build(make: type[Net], definitions: list[caffe_pb2.NetParameter], *more: Trunk) -> list[tuple[Context, Net]]:
    """Nets, each with a random stream of its own."""
    made = []
    for param in definitions:
        context = copy_context()
        context.run(rng.set_random_seed, 3)
        made.append((context, context.run(make, param, *more)))
    return made


def passes(nets: list[tuple[Context, Net]]) -> list[list[torch.Tensor]]:
    """Blobs and gradients of each net after each of three passes, the nets in turn."""
    found: list[list[torch.Tensor]] = [[] for _ in nets]
    for _ in range(3):
        for (context, net), values in zip(nets, found):
            net.clear_param_diffs()
            context.run(net.forward_backward)
            values += [blob.tensor.clone() for blob in net.blobs.values()]
            values += [p.grad.clone() for p in net.parameters() if p.grad is not None]
    for _, net in nets:
        net.layers[0].close()  # type: ignore[operator]
    return found


def same(definitions: list[caffe_pb2.NetParameter]) -> list[TrunkNet]:
    """Hold nets that share against nets of their own; gives the former."""
    alone = [passes([one])[0] for one in build(Net, definitions)]
    with stream.shared():
        nets = build(TrunkNet, definitions, {})
        shared = passes(nets)
    for mine, its in zip(shared, alone, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, its, strict=True))
    return [net for _, net in nets if isinstance(net, TrunkNet)]


def shared_layers(net: TrunkNet) -> list[str]:
    return [net.layers[i].name for i in sorted(net._shared)]


RELU = 'layer { name: "relu" type: "ReLU" bottom: "%s" top: "%s" }'
FLATTEN = 'layer { name: "flat" type: "Flatten" bottom: "conv" top: "flat" }'
DROPOUT = 'layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }'


def test_layers_in_place_leave_others_alone() -> None:
    nets = same([definition(RELU % ("conv", "conv"), "conv"), definition("", "conv")])
    assert shared_layers(nets[0]) == ["conv", "relu"] and shared_layers(nets[1]) == ["conv"]


def test_a_view_of_a_shared_blob_is_not_overwritten() -> None:
    nets = same([definition(FLATTEN + RELU % ("flat", "flat"), "flat"), definition("", "conv")])
    assert shared_layers(nets[0]) == ["conv"]


def test_what_draws_is_everybodys_own() -> None:
    nets = same([definition(DROPOUT + RELU % ("conv", "conv"), "conv")] * 2)
    assert shared_layers(nets[0]) == ["conv"]


def test_what_learns_is_everybodys_own() -> None:
    nets = same([definition("", "conv", lr=""), definition("", "conv")])
    assert shared_layers(nets[0]) == [] and shared_layers(nets[1]) == ["conv"]
    shared = definition("", "conv")
    shared.layer[1].param[0].name = "w"
    with stream.shared():
        net = TrunkNet(shared, {})
        assert shared_layers(net) == []  # another layer may use it and learn
        net.layers[0].close()  # type: ignore[operator]


def test_a_test_net_asks_the_net_that_learns() -> None:
    with stream.shared():
        learning, test_net = Net(definition("", "conv", lr="")), TrunkNet(definition("", "conv"), {})
        assert shared_layers(test_net) == ["conv"]
        test_net.share_with(learning)
        assert shared_layers(test_net) == []
        for net in (learning, test_net):
            net.layers[0].close()  # type: ignore[operator]


def test_nothing_is_kept_for_long() -> None:
    trunk: Trunk = {}
    with stream.shared():
        nets = [TrunkNet(definition(RELU % ("conv", "conv"), "conv"), trunk) for _ in range(2)]
        for net in nets:
            net.layers[1].params[0].data.fill_(0.5)
        for _ in range(4):
            for net in nets:
                net.forward_layers()
            assert len(trunk) == 2  # conv and relu, of the batch at hand
        for net in nets:
            net.layers[0].close()  # type: ignore[operator]
