"""Layers of random shapes and fields: what a runtime computes is what PyTorch computes, whatever the batch."""

from __future__ import annotations

import importlib.util
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.export.half import to_half
from caffe_compat.export.reference import reference_evaluator
from caffe_compat.layers.base import Layer
from caffe_compat.layers.registry import layer_class, layer_type_list

SEEDS = range(12)
GOLDEN_ONLY = {"DummyData", "Input", "Silence"}  # one way to be, or nothing to compute


def load(name: str) -> Any:
    """A module that lies beside this one."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


random_layers = load("random_layers")


def made(kind: str, seed: int) -> Any:
    try:
        return random_layers.random_layer(kind, seed)
    except CaffeError:
        pytest.skip("no layer has such fields")


def in_onnxruntime(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip([value.name for value in model.graph.output], session.run(None, feed)))


def test_every_type_with_a_rule_is_here() -> None:
    exported = {name for name in layer_type_list() if layer_class(name, "").onnx is not Layer.onnx}
    assert set(random_layers.rules) == exported - GOLDEN_ONLY


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", random_layers.rules)
def test_random_layer(kind: str, seed: int) -> None:
    layer = made(kind, seed)
    random_layers.agree(layer, in_onnxruntime(layer.model, layer.feed))


@pytest.mark.parametrize("kind", random_layers.rules)
def test_random_layer_in_half_precision(kind: str) -> None:
    layer = made(kind, 100)
    model = to_half(layer.model)
    onnx.checker.check_model(model, full_check=True)
    random_layers.agree(layer, in_onnxruntime(model, layer.feed), tolerance=1e-2)


@pytest.mark.parametrize("kind", random_layers.rules)
def test_random_layer_in_other_runtimes(kind: str) -> None:
    layer = made(kind, 101)
    with np.errstate(all="ignore"):
        found = reference_evaluator(layer.model).run(None, layer.feed)
    random_layers.agree(layer, dict(zip(layer.tops, found)))
    if find_spec("openvino"):
        random_layers.agree(layer, in_openvino(layer.model, layer.feed), tolerance=1e-4)


def in_openvino(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import openvino

    core = openvino.Core()
    network = core.compile_model(core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = {name for port in network.inputs for name in port.get_names()}  # it drops what no node reads
    found = network({name: values for name, values in feed.items() if name in names})
    return {value.name: np.array(found[value.name]) for value in model.graph.output}
