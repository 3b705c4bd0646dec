"""What is measured of a device, at toy size on the CPU."""

from __future__ import annotations

import pytest
import torch

from caffe_compat import precision
from yosinski.bench import device
from yosinski.bench.nets import MINI, build, gflop

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(device.SIDE, "cpu", 64)
    monkeypatch.setitem(device.COPIED, "cpu", 1 << 16)


def test_all_figures_hang_together() -> None:
    found = {made.name: made for made in device.measure(MINI, 1, 4, CPU)}
    assert list(found) == [
        "device/rates",
        "device/mini-layers-fp32",
        "device/mini-layers-bf16",
        "device/mini-training",
    ]
    rates = found["device/rates"]
    assert rates.facts["product in fp32, TFLOP/s"] == pytest.approx(
        2 * 64**3 / rates.samples["product in fp32"][0] / 1e12
    )
    assert rates.facts["copy, GB/s"] == pytest.approx(2 * (1 << 16) / rates.samples["copy"][0] / 1e9)
    training = found["device/mini-training"]
    assert set(training.samples) == {f"{who}, {name}" for who in ("ours", "plain torch") for name in ("fp32", "bf16")}
    assert training.facts["ours, bf16, img/s"] == pytest.approx(2 * 4 / training.samples["ours, bf16"][0])


def test_bounds_are_of_the_work_that_is_done() -> None:
    net = build(MINI, 4, CPU)
    net.forward_backward()
    operations, size = device.Rates(copy=1e30, product=1.0), device.Rates(copy=1.0, product=1e30)
    counted = device.layers(MINI, 1, 4, CPU, precision.FP32, operations).samples
    whole = sum(samples[0] for name, samples in counted.items() if name.endswith("bound"))
    assert whole == pytest.approx(1e9 * gflop(net))
    wide = device.layers(MINI, 1, 4, CPU, precision.FP32, size).samples
    narrow = device.layers(MINI, 1, 4, CPU, precision.BF16, size).samples
    pool, norm = "pool1, forward: bound", "norm1, backward: bound"
    assert wide[pool] == [4.0 * (net.blobs["conv1"].count + net.blobs["pool1"].count)]
    assert wide[norm] == [4.0 * 3 * net.blobs["pool1"].count]
    assert narrow[pool] == [wide[pool][0] / 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_layers_of_a_gpu() -> None:
    made = device.layers(MINI, 1, 64, torch.device("cuda:0"), precision.BF16, device.Rates(copy=1e12, product=1e14))
    times = [samples[0] for name, samples in made.samples.items() if name.endswith("time")]
    assert len(times) > 20 and all(0 < seconds < 0.1 for seconds in times)
