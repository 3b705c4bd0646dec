"""`caffe device_query`."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from click.testing import Result

from caffe_compat import glog
from caffe_compat.cli.device_query import show

from .. import own_lines


def test_without_a_gpu_it_is_a_failure(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    result = run("device_query")
    assert result.exit_code == 1 and str(result.exception) == "this machine has no CUDA device"
    assert str(run("device_query", "--gpu=0").exception) == "GPU 0: this machine has 0 CUDA device(s)"


def test_properties_stand_where_caffe_has_them() -> None:
    log = io.StringIO()
    handler = own_lines.attach(log)
    show(1, SimpleNamespace(major=9, name="H", total_memory=4096, multi_processor_count=8))
    glog.detach(handler)
    assert [re.sub(r"^\S+ \S+ +\d+ ", "", line) for line in log.getvalue().splitlines()] == [
        "common.cpp:178] Device id:                     1",
        "common.cpp:179] Major revision number:         9",
        "common.cpp:181] Name:                          H",
        "common.cpp:182] Total global memory:           4096",
        "common.cpp:199] Number of multiprocessors:     8",
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_shown(run: Callable[..., Result]) -> None:
    result = run("device_query", "-gpu", "0")
    assert result.exit_code == 0 and torch.cuda.get_device_name(0) in result.stderr
