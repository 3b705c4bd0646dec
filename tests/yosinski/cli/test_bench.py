"""`yosinski bench`: what is measured is the study's net, and all figures hang together."""

from __future__ import annotations

import json

import pytest


def test_the_nets_are_the_same_and_the_work_is_counted() -> None:
    from yosinski.bench.caffenet import caffenet, gflop
    from yosinski.bench.plain import PlainCaffeNet
    from yosinski.caffenet import FULL

    net = caffenet(batch=2)
    shapes = [tuple(learnable.parameter.shape) for learnable in net.learnable]
    assert shapes == [tuple(parameter.shape) for parameter in PlainCaffeNet(FULL).parameters()]
    forward = 105_415_200 + 223_948_800 + 149_520_384 + 112_140_288 + 74_760_192 + 37_748_736 + 16_777_216 + 4_096_000
    assert gflop(net) == pytest.approx(2 * 2 * (3 * forward - 105_415_200) / 1e9)  # conv1 needs no gradient of images


def test_figures_as_json(run) -> None:
    done = run("bench", "--rounds", 1, "--batch", 2, "--json")
    assert done.code == 0, done.err
    figures = json.loads(done.out)
    net = figures["caffenet"]
    assert net["bound_s"] == pytest.approx(net["gflop"] / net["sgemm_gflops"])
    assert net["caffe_compat_x_bound"] == pytest.approx(net["caffe_compat_s"] / net["bound_s"])
    assert figures["data_layer"]["images_per_s"] > 0
