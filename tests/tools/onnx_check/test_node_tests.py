"""ONNX's own node tests for the operators that exported nets use most, in the C++ checker's raw mode."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.backend.test.case import node as node_cases
from onnx.backend.test.case.test_case import TestCase

from caffe_compat.export.onnx_export import IR_VERSION, OPSET
from yosinski.onnx_check import run_raw

OPERATORS = ("Conv", "LRN", "MaxPool", "AveragePool", "Gemm", "Relu", "Softmax", "Flatten", "Pad", "Mul")
FLOAT = onnx.TensorProto.FLOAT


def applicable(case: TestCase) -> bool:
    """One of the operators, one float32 output, and a model that opset 17 knows: no newer attributes and types."""
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    if [node.op_type in OPERATORS for node in model.graph.node] != [True]:
        return False
    if [output.type.tensor_type.elem_type for output in model.graph.output] != [FLOAT]:
        return False
    stamp(model)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return False
    return True


def stamp(model: onnx.ModelProto) -> None:
    """Say the opset and IR version of our exports."""
    model.ir_version = IR_VERSION
    (opset,) = model.opset_import
    opset.version = OPSET


with np.errstate(all="ignore"), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # collecting computes all operators, with overflows and divisions by 0
    CASES = {case.name: case for case in node_cases.collect_testcases(None) if applicable(case)}


def test_every_operator_has_tests_that_apply() -> None:
    found = {case.model.graph.node[-1].op_type for case in CASES.values()}
    assert found == set(OPERATORS)


@pytest.mark.parametrize("name", CASES)
def test_official_node_test(name: str, program: Path, tmp_path: Path) -> None:
    case = CASES[name]
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    stamp(model)
    onnx.save(model, tmp_path / "node.onnx")
    output = model.graph.output[0].name
    for inputs, outputs in case.data_sets:
        feed = {value.name: np.asarray(array) for value, array in zip(model.graph.input, inputs)}
        found = run_raw(tmp_path / "node.onnx", feed, [output], program=program)[output]
        np.testing.assert_allclose(found, outputs[0], rtol=case.rtol, atol=max(case.atol, 1e-6))
