"""All benches one after the other, each with less work than by itself."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from yosinski.bench import data, infer, net, study, train
from yosinski.bench.comparison import Comparison, Progress
from yosinski.bench.nets import FULL, MINI


def measure(rounds: int, device: torch.device, progress: Progress | None = None) -> Iterator[Comparison]:
    """The comparisons of all benches."""
    yield from net.measure((MINI, FULL), rounds, None, device, progress)
    yield from data.measure(rounds, progress=progress)
    yield from train.measure((MINI,), rounds, 50, device, progress)
    yield from train.measure((FULL,), rounds, 1 if device.type == "cpu" else None, device, progress)
    yield from study.measure((MINI, FULL), rounds, 10, device, progress)
    yield from infer.measure((MINI,), rounds, (1, 2), 5_000, progress)
    yield from infer.measure((FULL,), rounds, (2,), 100, progress)
