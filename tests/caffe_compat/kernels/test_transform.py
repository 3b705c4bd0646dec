"""The fused end of the transformation against the CPU's, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat.data.mean import write_mean
from caffe_compat.data.transform import Placement, Transformer
from caffe_compat.proto import caffe_pb2

pytest.importorskip("triton", reason="Triton is not installed")

FORMATS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("stored", [np.uint8, np.float32])
@pytest.mark.parametrize("scale", [1.0, 0.0171])
@pytest.mark.parametrize("mean", ["file", "value", "values", "none"])
def test_finish(mean: str, scale: float, stored: type, layout: str, device: torch.device, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    param = caffe_pb2.TransformationParameter(crop_size=7, scale=scale, mirror=True)
    if mean == "file":
        write_mean(tmp_path / "mean", random.random((3, 11, 13), np.float32) * 255)
        param.mean_file = str(tmp_path / "mean")
    param.mean_value.extend({"value": [12.3], "values": [101.1, 7.7, 33.3]}.get(mean, []))
    transformer = Transformer(param, caffe_pb2.TRAIN)
    images = random.integers(0, 256, (5, 3, 11, 13)).astype(stored)
    places = [Placement(bool(i % 2), int(i), int(6 - i)) for i in range(5)]
    cuts, want = np.empty((5, 3, 7, 7), stored), np.empty((5, 3, 7, 7), np.float32)
    transformer.cut(images, places, cuts)
    transformer.apply(images, places, want)
    on_device = torch.from_numpy(cuts).to(device)
    out = torch.empty(cuts.shape, device=device).contiguous(memory_format=FORMATS[layout])
    assert torch.equal(transformer._finish_in_kernel(on_device, places, out).cpu(), torch.from_numpy(want))
    half = torch.empty_like(out, dtype=torch.bfloat16)
    got = transformer._finish_in_kernel(on_device, places, half).float().cpu().numpy()
    np.testing.assert_allclose(got, want, rtol=2**-7)
    for dtype, last in ((torch.float32, True), (torch.bfloat16, False)):
        finished = transformer.finish(torch.from_numpy(cuts.copy()), places, dtype, last)
        assert finished.dtype == dtype and finished.is_contiguous() is not last
        assert torch.equal(finished, torch.from_numpy(want).to(dtype))
