"""Exported golden layers and nets in the C++ checker's raw mode, against what BVLC Caffe 1.0 computed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest

from caffe_compat.export.onnx_export import to_onnx
from yosinski.onnx_check import run_raw


def golden_cases() -> object:
    """The module of tests that runs the same models in Python."""
    path = Path(__file__).parents[2] / "caffe_compat" / "export" / "test_golden.py"
    spec = importlib.util.spec_from_file_location("golden_cases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = golden_cases()


def run(program: Path, path: Path, model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    onnx.save(model, path)
    feed = {value.name: feed[value.name] for value in model.graph.input}
    return run_raw(path, feed, [value.name for value in model.graph.output], program=program)


WITH_INPUTS = [name for name in cases.EXPORTED if cases.CASES[name]["bottoms"]]  # the others have nothing to feed


@pytest.mark.parametrize("name", WITH_INPUTS)
def test_layer(name: str, program: Path, tmp_path: Path, agree) -> None:
    net, case, arrays = cases.layer_net(name)
    feed = {blob: arrays[f"bottom_{i}"] for i, blob in enumerate(case["bottoms"])}
    model = to_onnx(net, outputs=case["tops"])
    tops = run(program, tmp_path / "layer.onnx", model, feed)
    for i, output in enumerate(model.graph.output):
        agree(f"top {i}", tops[output.name], arrays[f"top_{i}"], case)


@pytest.mark.parametrize("name", cases.TESTED_NETS)
def test_net(name: str, program: Path, tmp_path: Path, agree) -> None:
    net, case, arrays = cases.golden_net(name)
    feed = {blob: arrays[f"in|{blob}"] for blob in net.inputs}
    tops = run(program, tmp_path / "net.onnx", to_onnx(net, outputs=cases.exported_blobs(net)), feed)
    for blob, top in tops.items():
        agree(blob, top, arrays[f"blob|{blob}"], case)
