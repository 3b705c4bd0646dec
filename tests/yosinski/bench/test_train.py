"""Training end to end on a GPU, and the plain loop's precisions; on the CPU the command's own test trains."""

from __future__ import annotations

from itertools import repeat

import pytest
import torch

from yosinski.bench.nets import FULL, MINI, noise
from yosinski.bench.plain import PlainCaffeNet, PlainLoop
from yosinski.bench.train import compare

CPU = torch.device("cpu")


def test_the_plain_loop_in_bf16_computes_nearly_the_same() -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(1)
        net = PlainCaffeNet(MINI.net).eval()  # without dropout
        losses.append(PlainLoop(net, repeat(noise(MINI, 8, CPU)), 0.01, 0.0005, 100, precision).step(1))
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)


def test_batches_are_larger_on_a_gpu() -> None:
    assert (FULL.images(CPU), FULL.images(torch.device("cuda")), MINI.images(torch.device("cuda"))) == (64, 256, 64)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_every_precision_on_a_gpu() -> None:
    made = compare(MINI, 1, 2, torch.device("cuda:0"))
    ours = {f"ours, {name}{how}" for name in ("fp32", "tf32", "bf16") for how in ("", ", without data", ", graphs")}
    assert ours <= set(made.samples)
    assert [ratio.name for ratio in made.ratios] == [
        title
        for name in ("fp32", "tf32", "bf16")
        for title in (f"plain torch, {name} / ours, {name}", f"ours, {name}, without data / ours, {name}")
    ]
