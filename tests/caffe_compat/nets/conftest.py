"""What the tests of whole nets share: one pass each way, with everything in it looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

import caffe_compat as caffe
from caffe_compat.net import Net


@pytest.fixture(autouse=True)
def one_thread_one_seed() -> Iterator[None]:
    """Cores are shared with other tests, and the losses that are stated here are those of this seed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(2014)
    caffe.set_random_seed(2014)
    yield
    torch.set_num_threads(threads)


class Passes:
    """``passes(net)``: forward and backward; the loss. Fails unless all values are finite and all weights learn."""

    def __call__(self, net: Net) -> float:
        net.clear_param_diffs()
        loss = float(net.forward_backward())
        assert math.isfinite(loss)
        for name, blob in net.blobs.items():
            assert torch.isfinite(blob.tensor).all(), name
        for learnable in net.learnable:
            gradient = learnable.parameter.grad
            assert (gradient is not None) == (learnable.lr_mult != 0), learnable.layer
            assert gradient is None or torch.isfinite(gradient).all(), learnable.layer
            # Biases may cancel out: a siamese loss does not see what both towers add.
            assert gradient is None or gradient.any() or gradient.ndim == 1, learnable.layer
        return loss

    @staticmethod
    def shapes(net: Net, *names: str) -> dict[str, tuple[int, ...]]:
        """The shapes of blobs without their first axis, the batch."""
        return {name: net.blobs[name].shape[1:] for name in names}

    @staticmethod
    def parameters(net: Net) -> int:
        """How many numbers the net learns; shared ones count once, BatchNorm's statistics are not learned."""
        return sum(learnable.parameter.numel() for learnable in net.learnable if learnable.lr_mult)


@pytest.fixture(scope="session")
def passes() -> Passes:
    return Passes()
