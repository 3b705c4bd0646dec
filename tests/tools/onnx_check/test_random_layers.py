"""Exported layers of random shapes and fields in the C++ checker's raw mode, against PyTorch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import onnx
import pytest

from yosinski.onnx_check import run_raw


def random_layers() -> Any:
    """The module that makes them for the tests of the export."""
    path = Path(__file__).parents[2] / "caffe_compat" / "export" / "random_layers.py"
    spec = importlib.util.spec_from_file_location("random_layers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = random_layers()


@pytest.mark.parametrize("kind", [kind for kind in made.rules if kind != "Parameter"])  # which has nothing to feed
def test_random_layer(kind: str, program: Path, tmp_path: Path) -> None:
    layer = made.random_layer(kind, 100)
    onnx.save(layer.model, tmp_path / "layer.onnx")
    made.agree(layer, run_raw(tmp_path / "layer.onnx", layer.feed, list(layer.tops), threads=1, program=program))
