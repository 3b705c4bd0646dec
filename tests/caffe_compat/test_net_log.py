"""What a net logs, by the rules of Caffe's Net::Init, ForwardFromTo and Backward; whole logs are in cli/test_golden."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from caffe_compat import glog, rng
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

from . import own_lines

SIAMESE = """
layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "left" type: "InnerProduct" bottom: "a" top: "x" param { name: "w" } param { lr_mult: 0 }
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" } } }
layer { name: "right" type: "InnerProduct" bottom: "b" top: "y" param { name: "w" }
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" } bias_filler { type: "constant" value: 3 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "x" bottom: "y" loss_weight: 0.5 }
"""


@pytest.fixture
def log() -> Iterator[Callable[[], list[str]]]:
    """The lines logged since the last call, from the place on."""
    stream = io.StringIO()
    handler = own_lines.attach(stream)

    def lines() -> list[str]:
        found = [re.sub(r"^(.)\S+ \S+ +\d+ ", r"\1 ", line) for line in stream.getvalue().splitlines()]
        stream.seek(0)
        stream.truncate()
        return found

    yield lines
    glog.detach(handler)


def build(definition: str) -> Net:
    rng.set_random_seed(1)
    return Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TRAIN)


def test_shared_parameters_and_an_automatic_top(log: Callable[[], list[str]]) -> None:
    build(SIAMESE)
    lines = log()
    assert lines[lines.index("I layer_factory.hpp:77] Creating layer right") :] == [
        "I layer_factory.hpp:77] Creating layer right",
        "I net.cpp:86] Creating Layer right",
        "I net.cpp:408] right <- b",
        "I net.cpp:382] right -> y",
        "I net.cpp:124] Setting up right",
        "I net.cpp:131] Top shape: 2 2 (4)",
        "I net.cpp:139] Memory required for data: 80",
        "I net.cpp:467] Sharing parameters 'w' owned by layer 'left', param index 0",
        "I layer_factory.hpp:77] Creating layer loss",
        "I net.cpp:86] Creating Layer loss",
        "I net.cpp:408] loss <- x",
        "I net.cpp:408] loss <- y",
        "I net.cpp:382] loss -> (automatic)",
        "I net.cpp:124] Setting up loss",
        "I net.cpp:131] Top shape: (1)",
        "I net.cpp:134]     with loss weight 0.5",
        "I net.cpp:139] Memory required for data: 84",
        "I net.cpp:200] loss needs backward computation.",
        "I net.cpp:200] right needs backward computation.",
        "I net.cpp:200] left needs backward computation.",
        "I net.cpp:202] in does not need backward computation.",
        "I net.cpp:257] Network initialization done.",
    ]
    assert lines[0] == "I net.cpp:53] Initializing net from parameters: " and lines[-1] != lines[0]


@pytest.mark.parametrize(
    ("layer", "times"),
    [
        ('type: "SoftmaxWithLoss" bottom: "b"', 2),
        ('type: "Scale"', 1),
        ('type: "Scale" scale_param { bias_term: true }', 2),
        ('type: "ReLU"', 1),
    ],
)
def test_layers_within_layers(layer: str, times: int, log: Callable[[], list[str]]) -> None:
    build(
        'layer { name: "in" type: "Input" top: "a" top: "b" '
        "input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }"
        f'layer {{ name: "x" bottom: "a" top: "y" {layer} }}'
    )
    assert log().count("I layer_factory.hpp:77] Creating layer x") == times


def test_force_backward_does_not_show(log: Callable[[], list[str]]) -> None:
    build("force_backward: true " + SIAMESE)
    assert "I net.cpp:202] in does not need backward computation." in log()


def test_debug_info(log: Callable[[], list[str]]) -> None:
    net = build("debug_info: true " + SIAMESE)
    net.blobs["a"].data[...] = [[1, -2, 3], [0, 4, 0]]
    net.blobs["b"].data[...] = -1
    log()
    net.clear_param_diffs()
    net.forward_backward()

    def mean(values: np.ndarray) -> str:
        return f"{np.abs(values).sum() / values.size:g}"

    (weights, own), (_, bias) = net.params["left"], net.params["right"]
    x, y = net.blobs["x"], net.blobs["y"]
    parameters = (weights, own, bias)
    sides = [[blob.data for blob in parameters], [blob.diff for blob in parameters]]
    l1 = [f"{sum(np.abs(values).sum() for values in side):g}" for side in sides]
    l2 = [f"{np.sqrt(sum((values**2).sum() for values in side)):g}" for side in sides]
    forward, backward = "I net.cpp:593]     [Forward] Layer", "I net.cpp:621]     [Backward] Layer"
    params = {"forward": "I net.cpp:605]     [Forward] Layer", "backward": "I net.cpp:632]     [Backward] Layer"}
    assert log() == [
        f"{forward} in, top blob a data: {10 / 6:g}",
        f"{forward} in, top blob b data: 1",
        f"{forward} left, top blob x data: {mean(x.data)}",
        f"{params['forward']} left, param blob w data: {mean(weights.data)}",
        f"{params['forward']} left, param blob 1 data: 0",
        f"{forward} right, top blob y data: {mean(y.data)}",
        f"{params['forward']} right, param blob w data: {mean(weights.data)}",
        f"{params['forward']} right, param blob 1 data: 3",
        f"{forward} loss, top blob (automatic) data: {mean(net.blobs['(automatic)'].data)}",
        f"{backward} loss, bottom blob x diff: {mean(x.diff)}",
        f"{backward} loss, bottom blob y diff: {mean(y.diff)}",
        f"{params['backward']} right, param blob 0 diff: {mean(y.diff.T @ net.blobs['b'].data)}",
        f"{params['backward']} right, param blob 1 diff: {mean(bias.diff)}",
        f"{params['backward']} left, param blob 0 diff: {mean(weights.diff)}",
        f"E net.cpp:721]     [Backward] All net params (data, diff): L1 norm = ({l1[0]}, {l1[1]}); "
        f"L2 norm = ({l2[0]}, {l2[1]})",
    ]
    net.backward_layers(len(net.layers) - 1, 1)
    assert not [line for line in log() if "All net params" in line]


def test_layers_without_a_counterpart_are_named_when_nets_share(log: Callable[[], list[str]]) -> None:
    net, part = build(SIAMESE), build(SIAMESE.split('layer { name: "right"')[0])
    log()
    part.share_with(net)
    assert log() == ["I net.cpp:678] Ignoring source layer right", "I net.cpp:678] Ignoring source layer loss"]
    assert part.params["left"][0].data.ctypes.data == net.params["left"][0].data.ctypes.data


def test_nothing_is_computed_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_run(*_: object) -> None:
        raise AssertionError("computed a norm that nobody reads")

    monkeypatch.setattr(glog.logger, "handlers", glog.logger.handlers[:1])  # less those of the test runner
    monkeypatch.setattr(torch.linalg, "vector_norm", must_not_run)
    monkeypatch.setattr("caffe_compat.net_log.format_text", must_not_run)
    net = build("debug_info: true " + SIAMESE)
    net.forward_backward()
    assert not glog.enabled()
