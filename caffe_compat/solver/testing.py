"""A test: a number of forward passes of a test net and the mean of each of its outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from caffe_compat import parallel
from caffe_compat.solver.pauses import Pauses


@dataclass
class Scores:
    """Means over the batches of a test, summed in float32 in the order of the batches, as Caffe does."""

    loss: Tensor  # the weighted sum of the net's losses, a scalar
    outputs: dict[str, Tensor]  # output blobs by name


def scoring(net: Any, batches: int, interrupted: Callable[[], bool]) -> Pauses[Scores | None]:
    """Run ``batches`` forward passes, and pause after each; None if ``interrupted()`` says so before one of them."""
    loss = torch.zeros(())
    sums: dict[str, Tensor] = {}
    for _ in range(batches):
        if interrupted():
            return None
        loss = loss + net.forward_layers()
        for name, blob in net.output_blobs.items():
            sums[name] = sums[name] + blob.tensor if name in sums else blob.tensor.clone()
        yield
    world = parallel.world()
    means = {name: total / batches for name, total in sums.items()}
    return Scores(world.mean(loss / max(batches, 1)), world.outputs(net, means))
