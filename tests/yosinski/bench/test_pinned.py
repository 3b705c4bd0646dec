"""Processes with only so many cores."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.errors import CaffeError
from yosinski.bench.pinned import Pinned

CONTENDERS = """
import os

def cores_seen(factor):
    import torch
    return lambda: factor * len(os.sched_getaffinity(0)) + 100 * torch.get_num_threads()

def broken():
    raise ValueError("no\\nluck")

def ends():
    os._exit(3)
"""


@pytest.fixture
def contenders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that the processes can import; they cannot import this one."""
    (tmp_path / "contenders_of_test_pinned.py").write_text(CONTENDERS)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("contenders_of_test_pinned")


def test_it_has_so_many_cores(contenders: Any) -> None:
    with Pinned(1, contenders.cores_seen, 0.5) as process:
        assert process.run() == process.run() == 100.5


def test_what_goes_wrong_there_is_said_here(contenders: Any) -> None:
    with Pinned(1, contenders.broken) as process, pytest.raises(CaffeError, match=r"^ValueError: no luck$"):
        process.run()
    with Pinned(1, contenders.ends) as process, pytest.raises(CaffeError, match="has ended before its time"):
        process.run()
