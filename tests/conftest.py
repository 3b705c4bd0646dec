"""What tests share: the golden tree, measured with BVLC Caffe 1.0, how close is close enough, and the C++ checker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from caffe_compat import rng
from yosinski.onnx_check_build import OnnxCheckUnavailable, find_or_build

os.environ.pop("GLOG_minloglevel", None)  # how much this machine's user wants to hear is no matter of the tests

# The same examples each time, however long one takes; `--hypothesis-profile default` goes on looking for others.
settings.load_profile("ci")

GOLDEN = Path(__file__).parent / "golden"
Agree = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is named after LevelDB where plyvel is missing, which has no wheel for Python 3.13."""
    if find_spec("plyvel") is None:
        for item in items:
            if "leveldb" in item.name:
                item.add_marker(pytest.mark.skip(reason="plyvel is not installed"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a test and its fixtures draw without a seed of their own is the same whichever tests have run before."""
    if torch := sys.modules.get("torch"):
        rng.set_random_seed(1)
        torch.default_generator.manual_seed(1)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The golden tree: cases measured with BVLC Caffe 1.0, one folder a group."""
    return GOLDEN


@pytest.fixture
def golden_root(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The golden tree as current directory, since the paths inside its prototxts are relative to it."""
    monkeypatch.chdir(GOLDEN)
    return GOLDEN


@pytest.fixture(scope="session")
def program() -> Path:
    """The plain build of the C++ checker."""
    try:
        return find_or_build()
    except OnnxCheckUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def agree() -> Agree:
    """``agree(what, got, want, case, rtol=1e-5)``: fail unless an array is what Caffe computed.

    Each element may be off by ``rtol`` of the array's largest value, or by 20 times what Caffe itself moves with
    another BLAS kernel (``noise`` in the case). Huge values are markers, such as -FLT_MAX for an empty window, and nan
    stands for itself: those are exact.
    """

    def check(what: str, got: Any, want: np.ndarray, case: dict[str, Any], rtol: float = 1e-5) -> None:
        got = np.asarray(got, np.float64)
        assert got.shape == want.shape, what
        ordinary = np.abs(want) < 1e30
        scale = np.abs(want[ordinary]).max(initial=0.0)
        noise = case.get("noise", {"max_abs": 0.0, "max_rel_to_array_max": 0.0})
        tolerance = max(rtol * scale, 20 * min(noise["max_abs"], noise["max_rel_to_array_max"] * scale))
        with np.errstate(invalid="ignore"):
            error = np.abs(got - want)
        right = np.where(ordinary, error <= tolerance, (got == want) | (np.isnan(got) & np.isnan(want)))
        assert right.all(), f"{what}: {np.count_nonzero(~right)} of {right.size} differ, by up to {error[~right].max()}"

    return check
