"""The pretended GPU: it forbids what a GPU forbids, and counts what waits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from .pretended import PretendedGpu

FETCHED, BROUGHT = "copy to the host", "copy to the GPU"


@pytest.fixture
def x(pretended_gpu: PretendedGpu) -> Tensor:
    made = torch.arange(6.0, device="cuda").view(2, 3)
    pretended_gpu.waits.clear()
    return made


def test_what_is_computed_stays_there(x: Tensor) -> None:
    weight = nn.Parameter(torch.ones(3, 2)).to(x)
    for one in (
        x,
        x[0],
        x.t(),
        x @ weight,
        x.sum(),
        x + 1,
        torch.zeros_like(x),
        x.new_ones(3),
        weight.data,
        x.double(),
    ):
        assert one.device == torch.device("cuda:0") and one.is_cuda and not one.is_cpu
    host = x.cpu()
    assert host.device.type == "cpu" and not host.is_cuda and host.tolist() == [[0, 1, 2], [3, 4, 5]]
    host.fill_(7)
    assert x.sum() == 15  # a copy
    assert torch.empty(1, device="meta").device.type == "meta"


def test_gradients(x: Tensor, pretended_gpu: PretendedGpu) -> None:
    layer = nn.Linear(3, 2).to("cuda")
    pretended_gpu.waits.clear()
    layer(x).tanh().sum().backward()
    assert layer.weight.is_cuda and layer.weight.grad is not None and layer.weight.grad.is_cuda
    assert not pretended_gpu.waits


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x, host: x + host,
        lambda x, host: host.sum().add_(x.sum()),
        lambda x, host: torch.stack([x.sum(), host.sum()]),
        lambda x, host: x @ host.t(),
        lambda x, host: nn.functional.linear(x, host),
        lambda x, host: (x * x.clone().requires_grad_()).backward(host),
    ],
)
def test_operators_on_both_devices(mixed: Callable[[Tensor, Tensor], object], x: Tensor) -> None:
    with pytest.raises(RuntimeError, match="on the same device"):
        mixed(x, torch.ones(2, 3))


def test_no_arrays_of_its_memory(x: Tensor) -> None:
    for made in (Tensor.numpy, np.asarray):
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            made(x)


@pytest.mark.parametrize(
    ("work", "waits"),
    [
        (lambda x: x * 2 + torch.tensor(1.0), {}),
        (lambda x: x.copy_(torch.zeros(2, 3), non_blocking=True), {}),
        (lambda x: torch.zeros(3).to(x.device, non_blocking=True), {}),
        (lambda x: x[torch.zeros(2, dtype=torch.int64, device="cuda")], {}),
        (lambda x: float(x.sum()), {"aten._local_scalar_dense.default": 1}),
        (lambda x: bool(x.any()), {"aten._local_scalar_dense.default": 1}),
        (lambda x: x.nonzero(), {"aten.nonzero.default": 1}),
        (lambda x: x[x > 1], {"aten.index.Tensor": 1}),
        (lambda x: x[torch.tensor([1, 0])], {BROUGHT: 1}),
        (lambda x: x.copy_(torch.zeros(2, 3)), {BROUGHT: 1}),
        (lambda x: torch.zeros(3).to("cuda"), {BROUGHT: 1}),
        (lambda x: torch.tensor([1, 2], device="cuda"), {BROUGHT: 1}),
        (lambda x: x.to("cpu", torch.float64), {FETCHED: 1}),
        (lambda x: torch.zeros(2, 3).copy_(x), {FETCHED: 1}),
        (lambda x: x.tolist(), {FETCHED: 1}),
    ],
)
def test_waits(work: Callable[[Tensor], object], waits: dict[str, int], x: Tensor, pretended_gpu: PretendedGpu) -> None:
    work(x)
    assert pretended_gpu.waits == waits
