"""The fused MAX pooling against Caffe's rule and against torch's, to the bit."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("triton", reason="Triton is not installed")

FORMATS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "pad", "ceil"),
    [
        ((2, 5, 27, 27), (3, 3), (2, 2), (0, 0), True),  # the study's
        ((2, 3, 8, 11), (3, 3), (2, 2), (0, 0), True),  # windows hang over
        ((1, 2, 7, 9), (3, 2), (1, 3), (1, 1), False),
        ((2, 3, 5, 5), (2, 2), (3, 3), (0, 0), True),  # pixels in no window
        ((3, 4, 6, 4), (6, 4), (1, 1), (0, 0), False),
        ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0), False),
        ((0, 3, 5, 5), (2, 2), (2, 2), (0, 0), False),
    ],
)
def test_as_torchs(shape, kernel, stride, pad, ceil, layout, dtype, device) -> None:
    from caffe_compat.kernels import max_pooling

    random = torch.Generator().manual_seed(1)
    x = torch.randint(-5, 6, shape, generator=random).to(dtype)  # with many ties
    want, index = F.max_pool2d(x.float(), kernel, stride, pad, ceil_mode=ceil, return_indices=True)
    diff = torch.randint(-99, 99, want.shape, generator=random).to(dtype) / 8  # whose sums are exact
    x = x.contiguous(memory_format=FORMATS[layout]).to(device)
    top, winners = max_pooling.forward(x, tuple(want.shape[2:]), kernel, stride, pad)
    assert torch.equal(top.float().cpu(), want)
    assert (top.dtype, winners.dtype) == (dtype, torch.uint8)
    bottom = max_pooling.backward(x, diff.to(device), winners, kernel, stride, pad)
    assert (bottom.dtype, bottom.stride()) == (dtype, x.stride())
    expected = torch.zeros(shape).flatten(2).scatter_add(2, index.flatten(2), diff.float().flatten(2)).view(shape)
    assert torch.equal(bottom.float().cpu(), expected.to(dtype).float())


def test_windows_outside_and_odd_values(device: torch.device) -> None:
    from caffe_compat.kernels import max_pooling

    nan, low = float("nan"), float("-inf")
    x = torch.tensor([[[[1.0, nan, 3.0, low, low]]]], device=device)
    top, winners = max_pooling.forward(x, (1, 4), (1, 2), (1, 2), (0, 0))
    assert top.isnan().flatten().tolist() == [True, False, False, False]
    assert top.flatten().tolist()[1:] == [3.0, low, torch.finfo().min]
    assert winners.flatten().tolist() == [1, 0, 0, 255]
    bottom = max_pooling.backward(x, torch.ones_like(top), winners, (1, 2), (1, 2), (0, 0))
    assert bottom.flatten().tolist() == [0.0, 1.0, 1.0, 0.0, 1.0]
