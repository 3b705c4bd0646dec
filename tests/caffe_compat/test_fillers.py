"""Fillers against Caffe's own blobs: every value, and the place of the stream afterwards."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from caffe_compat import proto, rng
from caffe_compat.errors import CaffeError
from caffe_compat.fillers import FILLERS, fill
from caffe_compat.proto import caffe_pb2

f32 = np.float32
CASES = sorted(path.stem for path in (Path(__file__).parents[1] / "golden" / "rng").glob("filler_*.prototxt"))


def filler_of(**fields: Any) -> Any:
    return caffe_pb2.FillerParameter(**fields)


@pytest.mark.parametrize("name", [name for name in CASES if name != "filler_gaussian_long"])
def test_golden(name: str, golden: Path) -> None:
    net = proto.read_net(golden / "rng" / f"{name}.prototxt")
    shape = tuple(net.layer[0].input_param.shape[0].dim)
    case = np.load(golden / "rng" / f"{name}.npz", allow_pickle=False)
    for seed in case["seeds"].tolist():
        rng.set_random_seed(seed)
        values = fill(net.layer[1].bias_param.filler, shape)
        expected = case[f"blob_seed{seed}"]
        assert values.dtype == f32
        assert values.shape == expected.shape
        np.testing.assert_array_equal(values.view(np.uint32), expected.view(np.uint32))
        assert rng.rng_next_u32() == case[f"next_u32_seed{seed}"][0]


def test_every_filler_has_golden_cases() -> None:
    assert len(CASES) >= 35
    assert all(any(name.startswith(f"filler_{kind}") for name in CASES) for kind in FILLERS)


@pytest.mark.parametrize("fan", [31, 49, 15, 33])  # dividing in double would give another scale
def test_scales_are_computed_in_single_precision(fan: int) -> None:
    rng.set_random_seed(2)
    expected = rng.Rng(2)
    scale, std = np.sqrt(f32(3) / f32(fan)), np.sqrt(f32(2) / f32(fan))
    xavier, msra = fill(filler_of(type="xavier"), (40, fan)), fill(filler_of(type="msra"), (40, fan))
    np.testing.assert_array_equal(xavier.ravel(), expected.uniform(40 * fan, -scale, scale))
    np.testing.assert_array_equal(msra.ravel(), expected.gaussian(40 * fan, 0, std))


def test_positive_unitball_adds_one_after_the_other() -> None:
    rng.set_random_seed(4)
    values = fill(filler_of(type="positive_unitball"), (3, 5000))
    drawn = rng.Rng(4).uniform(15000, 0, 1).reshape(3, 5000)
    for row, expected in zip(values, drawn, strict=True):
        total = f32(0)
        for value in expected:
            total += value
        np.testing.assert_array_equal(row, expected / total)


def test_values_are_the_callers_own() -> None:
    for kind in FILLERS:
        values = fill(filler_of(type=kind), (2, 2, 3, 3))
        assert values.flags.writeable
        assert values.flags.c_contiguous
        assert values.base is None or values.base.size == values.size


def test_a_blob_without_axes() -> None:
    rng.set_random_seed(1)
    assert fill(filler_of(value=2.5), ()).tolist() == 2.5
    assert fill(filler_of(type="gaussian"), ()).shape == ()
    for kind in ("xavier", "msra", "positive_unitball"):
        with pytest.raises(CaffeError, match="at least one axis"):
            fill(filler_of(type=kind), ())


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ({"type": "xaver"}, (2, 3), "no such filler; expected one of bilinear, constant, gaussian, msra, "),
        ({}, (2, 0), "the blob is empty"),
        ({"type": "xavier", "sparse": 2}, (2, 3), "sparse: 2; only the gaussian"),
        ({"type": "gaussian", "sparse": -2}, (2, 3), "sparse: -2; expected -1"),
        ({"type": "gaussian", "sparse": 3}, (2, 3), "sparse: 3; expected no more than the first axis, 2"),
        ({"type": "gaussian", "sparse": 0}, (), "expected at least one axis"),
        ({"type": "gaussian", "std": 0}, (2, 3), "std: 0.0; expected more than 0"),
        ({"type": "gaussian", "std": -1}, (2, 3), "std: -1.0; expected more than 0"),
        ({"type": "gaussian", "std": math.nan}, (2, 3), "std: nan; expected more than 0"),
        ({"type": "uniform", "min": 1, "max": 0.5}, (2, 3), "min: 1.0 max: 0.5; expected finite"),
        ({"type": "uniform", "min": -math.inf}, (2, 3), "min: -inf max: 1.0; expected finite"),
        ({"type": "uniform", "max": math.nan}, (2, 3), "min: 0.0 max: nan; expected finite"),
        ({"type": "uniform", "min": 3.4028235e38, "max": 3.4028235e38}, (2, 3), "expected finite"),
        ({"type": "bilinear"}, (2, 3, 3), "expected 4 axes and a square kernel"),
        ({"type": "bilinear"}, (1, 1, 2, 3), "expected 4 axes and a square kernel"),
    ],
)
def test_what_caffe_checks(fields: dict[str, Any], shape: tuple[int, ...], message: str) -> None:
    rng.set_random_seed(1)
    with pytest.raises(CaffeError, match=message) as raised:
        fill(filler_of(**fields), shape)
    assert str(list(shape)) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert rng.rng_next_u32() == rng.Rng(1).next_u32()


def test_the_error_is_the_callers() -> None:
    def fail(message: str) -> NoReturn:
        raise CaffeError(f'layer "conv1": {message}')

    with pytest.raises(CaffeError, match=r'^layer "conv1": filler "foo" of a blob of shape \[2\]: '):
        fill(filler_of(type="foo"), (2,), fail)


def test_a_large_layer_takes_no_minutes() -> None:
    began = time.process_time()
    fill(filler_of(type="gaussian", std=0.005), (2048, 4096))
    assert time.process_time() - began < 10
