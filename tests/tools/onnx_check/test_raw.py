"""Raw mode: any inputs from files, any outputs to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper


def save(path: Path, values: np.ndarray) -> Path:
    values.tofile(path)
    return path


def convolution(make: Any, weights: np.ndarray) -> Path:
    nodes = [
        helper.make_node("Conv", ["data", "w"], ["conv"], strides=[2, 1], pads=[1, 0, 1, 0]),
        helper.make_node("Flatten", ["conv"], ["flat"]),
    ]
    return make.model(nodes, {"data": ["N", 2, 5, 4]}, {"conv": ["N", 3, 3, 2], "flat": ["N", 18]}, {"w": weights})


def naive_convolution(data: np.ndarray, weights: np.ndarray) -> np.ndarray:
    padded = np.pad(data.astype(np.float64), ((0, 0), (0, 0), (1, 1), (0, 0)))
    out = np.zeros((len(data), 3, 3, 2))
    for y in range(3):
        for x in range(2):
            out[:, :, y, x] = np.tensordot(padded[:, :, 2 * y : 2 * y + 3, x : x + 3], weights, ([1, 2, 3], [1, 2, 3]))
    return out


@pytest.mark.parametrize("spelling", ["{}", "data={}", "data={}:7x2x5x4"])
def test_a_layer_on_values_from_a_file(checker: Any, make: Any, tmp_path: Path, spelling: str) -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(7, 2, 5, 4)).astype(np.float32)
    weights = rng.normal(size=(3, 2, 3, 3)).astype(np.float32)
    model = convolution(make, weights)
    raw = spelling.format(save(tmp_path / "in", data))
    arguments = [
        "--model",
        model,
        "--raw",
        raw,
        "--dump",
        f"conv={tmp_path / 'conv'}",
        "--dump",
        f"flat={tmp_path / 'f'}",
    ]
    report = checker.report(*arguments)
    assert (report["inputs"], report["outputs"]) == ({"data": [7, 2, 5, 4]}, {"conv": [7, 3, 3, 2], "flat": [7, 18]})
    expected = naive_convolution(data, weights)
    for name, file in (("conv", "conv"), ("flat", "f")):
        found = np.fromfile(tmp_path / file, np.float32).reshape(report["dumps"][name]["shape"])
        np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-5, atol=1e-6)


def test_several_inputs_of_several_types(checker: Any, make: Any, tmp_path: Path) -> None:
    nodes = [helper.make_node("Gather", ["table", "index"], ["rows"], axis=0)]
    model = make.model(
        nodes, {"table": ["R", "C"], "index": ["K"]}, {"rows": ["K", "C"]}, types={"index": TensorProto.INT64}
    )
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    index = np.array([3, 0, 3], np.int64)
    raws = [f"table={save(tmp_path / 't', table)}:4x3", f"index={save(tmp_path / 'i', index)}"]
    found = checker.dump("--model", model, "--raw", raws[0], "--raw", raws[1], "--dump", tmp_path / "out")
    np.testing.assert_array_equal(found, table[index])


def test_the_result_need_not_be_dumped(checker: Any, make: Any, tmp_path: Path) -> None:
    raw = save(tmp_path / "in", np.zeros(12, np.float32))
    report = checker.report("--model", make.identity(2, 3, 1), "--raw", raw)
    assert (report["outputs"], report["dumps"]) == ({"prob": [2, 2, 3, 1]}, {})


def test_wrong_sizes_and_names(checker: Any, make: Any, tmp_path: Path) -> None:
    raw = save(tmp_path / "in", np.zeros(13, np.float32))
    model = make.identity(2, 3, 1)
    line = checker.error("--model", model, "--raw", raw)
    assert f"{raw}: 52 bytes" in line and "?x2x3x1" in line and '"data"' in line
    assert "2x2x3x1" in checker.error("--model", model, "--raw", f"{raw}:2x2x3x1")
    assert '"nix" does not exist; there are: data' in checker.error("--model", model, "--raw", f"nix={raw}")
    assert "No such file" in checker.error("--model", model, "--raw", tmp_path / "none")
    assert "say which with --raw" in checker.error("--model", make.identity(), "--raw", raw)


def test_a_missing_input_is_named(checker: Any, make: Any, tmp_path: Path) -> None:
    model = make.model(
        [helper.make_node("Add", ["a", "b"], ["sum"])], {"a": ["N", 2], "b": ["N", 2]}, {"sum": ["N", 2]}
    )
    raw = save(tmp_path / "in", np.zeros(4, np.float32))
    line = checker.error("--model", model, "--raw", f"a={raw}", "--dump", tmp_path / "out")
    assert str(model) in line and "b" in line
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == []


def test_a_model_without_inputs(checker: Any, make: Any, tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = make.model([helper.make_node("Neg", ["w"], ["out"])], {}, {"out": [2, 3]}, {"w": values})
    report = checker.report("--model", model, "--dump", tmp_path / "out")
    assert (report["inputs"], report["outputs"]) == ({}, {"out": [2, 3]})
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out", "<f4").reshape(2, 3), -values)
    line = checker.error("--model", make.identity(), "--dump", tmp_path / "none")
    assert 'the input "data" needs --db or --raw' in line and not (tmp_path / "none").exists()


def test_outputs_of_other_types_are_refused(checker: Any, make: Any, tmp_path: Path) -> None:
    model = make.model(
        *([helper.make_node("ArgMax", ["data"], ["best"], axis=1)], {"data": ["N", 3]}, {"best": ["N", 1]}),
        types={"best": TensorProto.INT64},
    )
    line = checker.error("--model", model, "--raw", save(tmp_path / "in", np.zeros(3, np.float32)))
    assert '"best" is int64, expected float32' in line
