"""The fused LRN against its definition in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("triton", reason="Triton is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in")  # NumPy on what is masked, in the interpreter
FORMATS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}
TOLERANCE = {torch.float32: 2e-6, torch.bfloat16: 2**-7}  # of the largest value


def expected(x: Tensor, diff: Tensor, size: int, alpha: float, beta: float, k: float) -> tuple[Tensor, Tensor]:
    x = x.double().requires_grad_()
    squares = F.pad((x * x).transpose(1, 3), (size // 2, size // 2)).transpose(1, 3)
    scale = k + alpha / size * sum(squares[:, i : i + x.shape[1]] for i in range(size))
    top = x * scale**-beta
    top.backward(diff.double())
    assert x.grad is not None
    return top.detach(), x.grad


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize(
    ("shape", "size", "alpha", "beta", "k"),
    [
        ((2, 96, 5, 3), 5, 1e-4, 0.75, 1.0),  # the study's
        ((2, 7, 5, 3), 5, 0.1, 0.75, 1.0),
        ((3, 16, 9, 7), 3, 2.0, 0.5, 2.0),
        ((1, 3, 4, 4), 7, 0.5, 1.5, 0.0),  # fewer channels than the window, nothing added
        ((2, 5, 3, 1), 1, 0.1, 0.0, 1.0),
        ((1, 1, 1, 1), 5, 1.0, 0.75, 1.0),
        ((0, 4, 3, 3), 5, 1.0, 0.75, 1.0),
        ((1, 9, 13, 13), 15, 0.01, 0.75, 1.0),
    ],
)
def test_both_ways(shape, size, alpha, beta, k, layout, dtype, device) -> None:
    from caffe_compat.kernels import lrn

    random = torch.Generator().manual_seed(1)
    x, diff = (30 * torch.randn(shape, generator=random).to(dtype) for _ in range(2))
    x = x.contiguous(memory_format=FORMATS[layout]).to(device)
    top = lrn.forward(x, size, alpha, beta, k)
    bottom = lrn.backward(x, diff.to(device), size, alpha, beta, k)
    for got, want in zip((top, bottom), expected(x.cpu(), diff, size, alpha, beta, k)):
        assert (got.dtype, got.shape, got.stride()) == (dtype, shape, x.stride())
        error = (got.cpu().double() - want).abs()
        assert not want.numel() or error.max() <= TOLERANCE[dtype] * want.abs().max()
