"""Tests of the GPU path: on a GPU where there is one, else, as far as that goes, on a pretended one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import caffe_compat as caffe
from caffe_compat.recorded_pass import RecordedPass

from .. import tape
from .pretended import PretendedGpu

GPU = torch.device("cuda:0")


@pytest.fixture
def real_gpu() -> torch.device:
    """What a pretended one does not show."""
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return GPU


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedGpu]:
    """One GPU, as far as the test's thread can tell. Its generator is the CPU's, its graphs are tapes."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "pretended")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 30, 1 << 31))
    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, torch.default_generator.manual_seed)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: torch.set_rng_state(state))
    monkeypatch.setattr("caffe_compat.kernels.works", lambda device: False)  # Triton knows no pretended one
    gpu = PretendedGpu()

    def record(work: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        waits, generator = gpu.waits.total(), torch.get_rng_state()
        replay, result = tape.record(work)
        torch.set_rng_state(generator)  # of what is recorded nothing has run yet
        if gpu.waits.total() > waits:
            raise RuntimeError(f"operation not permitted when stream is capturing: {gpu.waits}")

        def launch() -> None:
            waits = gpu.waits.copy()
            replay()
            gpu.waits = waits  # the tape makes its new tensors on the host

        return launch, result

    monkeypatch.setattr("caffe_compat.solver.solver.RecordedPass", lambda net: RecordedPass(net, record))
    with gpu:
        yield gpu


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    """The GPU, or a pretended one."""
    if not torch.cuda.is_available():
        request.getfixturevalue("pretended_gpu")
    return GPU


@pytest.fixture
def gpu_mode(device: torch.device) -> Iterator[None]:
    """Pycaffe's nets compute on the GPU."""
    caffe.set_mode_gpu()
    yield
    caffe.set_mode_cpu()


@pytest.fixture
def gpu_agree(agree: Callable[..., None]) -> Callable[..., None]:
    """``agree`` with ten times the room: a GPU sums in another order, and has powers and logarithms of its own."""

    def check(what: str, got: Any, want: np.ndarray, case: dict[str, Any]) -> None:
        agree(what, got, want, case, rtol=1e-4)

    return check
