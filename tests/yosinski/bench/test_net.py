"""What is measured are the study's nets, and all figures hang together."""

from __future__ import annotations

import pytest
import torch

from yosinski.bench.layers import measure as layer_by_layer
from yosinski.bench.net import frozen, passes
from yosinski.bench.nets import FULL, MINI, build, gflop
from yosinski.bench.plain import PlainCaffeNet

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yosinski.bench.net.SGEMM_TIMES", 1)


def test_the_nets_are_the_same_and_the_work_is_counted() -> None:
    net = build(FULL, 2, CPU)
    shapes = [tuple(learnable.parameter.shape) for learnable in net.learnable]
    assert shapes == [tuple(parameter.shape) for parameter in PlainCaffeNet(FULL.net).parameters()]
    forward = 105_415_200 + 223_948_800 + 149_520_384 + 112_140_288 + 74_760_192 + 37_748_736 + 16_777_216 + 4_096_000
    assert gflop(net) == pytest.approx(2 * 2 * (3 * forward - 105_415_200) / 1e9)  # conv1 needs no gradient of images


def test_passes() -> None:
    made = passes(MINI, 1, 2, CPU)
    assert made.name == "net/mini" and made.work == 100
    values = {ratio.name: made.value(ratio) for ratio in made.ratios}
    assert values["plain torch / ours"] == pytest.approx(values["plain torch / bound"] / values["ours / bound"])
    rate = made.facts["sgemm GFLOP/s"]
    assert isinstance(rate, float)
    assert made.samples["bound"][0] * rate == pytest.approx(50 * gflop(build(MINI, 2, CPU)))


def test_every_layer_is_timed_both_ways_on_both_sides() -> None:
    made = layer_by_layer(MINI, 1, 2, CPU)
    rows = {name.partition(":")[0] for name in made.samples}
    assert rows == {layer.name for layer in build(MINI, 2, CPU).layers} - {"data"}
    assert len(made.samples) == 4 * len(rows)
    assert all(took > 0 for samples in made.samples.values() for took in samples)


def test_frozen_layers_against_all_layers() -> None:
    made = frozen(MINI, 1, 2, CPU)
    assert list(made.samples) == ["base_A", "transfer_A3B"]
    (share,) = made.ratios
    assert made.value(share) == made.samples["transfer_A3B"][0] / made.samples["base_A"][0]
