"""`yosinski export` and `yosinski verify` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from caffe_compat.export.unsupported import unsupported


def test_outputs_are_named_with_commas(run, mini_run, tmp_path: Path) -> None:
    done = run(
        "export", mini_run.folder, "--outputs", "pool1,prob", "--output", "fc7-new", "--out", tmp_path / "x.onnx"
    )
    assert (done.code, done.out.split()[0]) == (0, str(tmp_path / "x.onnx"))
    model = onnx.load(tmp_path / "x.onnx")
    assert [value.name for value in model.graph.output] == ["pool1", "prob", "fc7-new"]


def test_what_cannot_be_exported_is_listed_with_reasons(run) -> None:
    done = run("export", "--list-unsupported")
    lines = done.out.splitlines()
    assert (done.code, len(lines)) == (0, len(unsupported()))
    assert "Python: what it computes is written in Python" in lines
    assert all(line.partition(": ")[2] for line in lines)
    assert not any(line.startswith(("Convolution:", "LSTM", "Filter", "SPP")) for line in lines)
    assert any(line.startswith("Convolution (in part): ONNX's Conv is for 1 to 3 spatial axes") for line in lines)


def test_a_self_contained_model_in_half_precision(run, mini_run, tmp_path: Path) -> None:
    options = ["--with-preprocessing", "--precision", "fp16", "--db", mini_run.db, "--out", tmp_path / "x.onnx"]
    done = run("export", mini_run.folder, *options)
    assert done.code == 0
    assert "float16 on 30 images (database db): top-1 " in done.out
    (value,) = onnx.load(tmp_path / "x.onnx").graph.input
    assert value.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_verify_names_the_layer_of_an_altered_weight(run, mini_run, tmp_path: Path) -> None:
    assert run("export", mini_run.folder).code == 0
    model = onnx.load(mini_run.folder / "mini_iter_20.onnx")
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "conv2/weight")
    values = numpy_helper.to_array(weight) * np.float32(1.01)
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    altered = mini_run.folder / "altered.onnx"
    onnx.save(model, altered)
    here = ["--runtime", "torch", "--runtime", "onnxruntime", "--per-layer", "--json", tmp_path / "x.json"]
    done = run("verify", altered, "--weights", mini_run.weights, *here)
    altered.unlink()
    assert done.code == 1
    assert "first layer that departs: conv2 (blob conv2)" in done.err
    assert done.err.count("\n") == 1
    found = json.loads((tmp_path / "x.json").read_text())
    assert next(row["layer"] for row in found["layers"] if row["departs"]) == "conv2"
    assert [line.split(":")[0] for line in found["departures"]] == ["layer conv2"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--precision", "fp8"], 2, "'fp8' is not one of 'fp32', 'fp16'"),
        (["--image-size", "256"], 2, "'256' is not HEIGHTxWIDTH, such as 256x256"),
        (["--image-size", "0x256"], 2, "'0x256' is not HEIGHTxWIDTH, such as 256x256"),
        (["--outputs", "probs"], 1, "computes no blob 'probs' to give out; did you mean prob?"),
        (["--with-preprocessing", "--image-size", "20x20"], 1, "crop_size: 24 is larger than the image"),
    ],
)
def test_mistakes_end_in_one_line(run, mini_run, arguments: list[str], code: int, message: str) -> None:
    done = run("export", mini_run.folder, *arguments)
    assert done.code == code
    assert message in done.err
