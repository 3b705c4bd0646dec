"""The same images through several runtimes: agreement is seen, and so is each kind of disagreement."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from rich.console import Console

from caffe_compat.data.mean import read_mean, write_mean
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from yosinski.export import export_run
from yosinski.verify import RUNTIMES, verify
from yosinski.verify_report import Answers, VerifyReport, compare, judge
from yosinski.verify_tables import runtime_table

HERE = ("torch", "onnxruntime")


@pytest.fixture(scope="module")
def model(mini_run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(mini_run.folder, out=tmp_path_factory.mktemp("export")).onnx


def run(mini_run, model: Path, **options) -> VerifyReport:
    given = {"runtimes": HERE, "batch": 8, **options}
    return verify(model, mini_run.db, prototxt=mini_run.net, weights=[mini_run.weights], **given)


def test_runtimes_agree_and_report_caffes_accuracy(mini_run, model: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = run(mini_run, model, progress=lambda *done: seen.append(done))
    assert report.ok, report.verdict
    assert seen == [(8, 30), (16, 30), (24, 30), (30, 30)]
    assert 0 < report.comparisons["onnxruntime"].max_delta <= 1e-5
    net = Net(mini_run.net, caffe_pb2.TEST, weights=mini_run.weights)  # batches of 50: the 30 images and 20 once more
    net.forward_layers()
    order = np.arange(50) % 30
    for name in HERE:
        scores = report.answers[name].scores
        assert scores.shape == (30, 10)
        labels = np.arange(30) % 10
        again = judge(scores[order], labels[order])
        assert again["top1"] == pytest.approx(float(net.blobs["accuracy"].data), abs=1e-6)
        assert again["log_loss"] == pytest.approx(float(net.blobs["loss"].data), rel=1e-5)


def test_report_is_a_table_and_json(mini_run, model: Path) -> None:
    report = run(mini_run, model, limit=11)
    found = json.loads(json.dumps(report.to_json()))
    assert (found["images"], found["ok"], list(found["runtimes"])) == (11, True, list(HERE))
    assert found["runtimes"]["onnxruntime"]["against_reference"]["differing"] == []
    assert found["runtimes"]["torch"]["top1"] == report.judged["torch"]["top1"]
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(runtime_table(report))
    assert "agree: torch, onnxruntime on 11 images" in console.export_text()


def test_all_runtimes_agree(mini_run, model: Path) -> None:
    report = run(mini_run, model, runtimes=RUNTIMES)
    assert report.ok, report.verdict
    assert {*report.answers, *report.unavailable} == set(RUNTIMES)
    assert len(report.answers["onnx"].scores) == 16
    for name in {"openvino", "opencv"}.intersection(report.answers):
        assert report.answers[name].scores.shape == (30, 10)
        assert 0 < report.comparisons[name].max_delta <= 1e-4


def test_per_layer_compares_every_blob(mini_run, model: Path) -> None:
    report = run(mini_run, model, per_layer=True)
    assert report.ok, report.verdict
    names = [(row.layer, row.blob) for row in report.layers]
    assert names[:3] == [("conv1", "conv1"), ("relu1", "conv1"), ("pool1", "pool1")]
    assert names[-1] == ("prob", "prob")
    assert max(row.max_delta / row.scale for row in report.layers) < 2e-5
    assert json.loads(json.dumps(report.to_json()))["layers"][0]["layer"] == "conv1"


@pytest.mark.parametrize("layer", ["conv1", "conv3", "fc6-new", "fc8-new"])
def test_an_altered_weight_is_caught_and_its_layer_named(mini_run, model: Path, tmp_path: Path, layer: str) -> None:
    altered = onnx.load(model)
    (weight,) = (tensor for tensor in altered.graph.initializer if tensor.name == f"{layer}/weight")
    values = numpy_helper.to_array(weight).copy()
    values.flat[np.abs(values).argmax()] *= 1.01
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(altered, tmp_path / "altered.onnx")
    report = run(mini_run, tmp_path / "altered.onnx", per_layer=True)
    assert not report.ok
    assert report.first_layer is not None and report.first_layer.layer == layer
    assert f"first layer that departs: {layer} (blob {layer})" in report.verdict
    assert [line.split(" differs")[0] for line in report.departures] == [f"layer {layer}: weight"]
    assert "in 1 of " in report.departures[0]


def test_the_cpp_checker_takes_part(mini_run, model: Path) -> None:
    report = run(mini_run, model, runtimes=(*HERE, "onnx_check"))
    if "onnx_check" in report.unavailable:
        assert report.ok
        pytest.skip(report.unavailable["onnx_check"])
    assert report.ok, report.verdict
    ours, theirs = report.judged["onnxruntime"], report.judged["onnx_check"]
    assert theirs["top1"] == pytest.approx(ours["top1"], abs=1e-9)
    assert theirs["top5"] == pytest.approx(ours["top5"], abs=1e-9)
    assert theirs["log_loss"] == pytest.approx(ours["log_loss"], rel=1e-5)


def test_the_cpp_checker_feeds_stored_pixels(mini_run, tmp_path: Path) -> None:
    model = export_run(mini_run.folder, out=tmp_path, with_preprocessing=True).onnx
    report = run(mini_run, model, runtimes=(*HERE, "onnx_check"))
    assert report.ok, report.verdict
    if "onnx_check" in report.unavailable:
        pytest.skip(report.unavailable["onnx_check"])
    assert report.comparisons["onnx_check"].max_delta <= 1e-5
    assert report.judged["onnx_check"]["top1"] == pytest.approx(report.judged["onnxruntime"]["top1"], abs=1e-9)


def test_another_mean_than_the_models_is_caught(mini_run, model: Path, tmp_path: Path) -> None:
    mean = tmp_path / "brighter.binaryproto"
    write_mean(mean, read_mean(mini_run.mean) + 1)
    report = run(mini_run, model, runtimes=(*HERE, "onnx_check"), mean=mean)
    if "onnx_check" in report.unavailable:
        pytest.skip(report.unavailable["onnx_check"])
    assert not report.ok
    assert report.verdict.startswith("onnx_check failed: ")
    assert "was made with the mean of SHA-256" in report.verdict
    assert [line.partition(" is ")[0] for line in report.departures] == ["metadata: mean_sha256"]


def test_ties_are_listed_and_forgiven() -> None:
    reference = np.array([[0.5, 0.5, 0], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]], np.float32)
    other = reference + np.array([[0, 4e-6, 0], [0, 0, 0], [0.4, 0, 0]], np.float32)
    found = compare(reference, other, 1e-5)
    assert (found.ties, found.differing) == ([0], [2])
    assert found.max_delta == pytest.approx(0.4)
    with pytest.raises(CaffeError, match=r"scores of shape \[2, 3\], the reference \[3, 3\]"):
        compare(reference, other[:2], 1e-5)


def test_nan_agrees_with_nan_only() -> None:
    reference = np.array([[np.nan, 1.0]], np.float32)
    assert compare(reference, reference.copy(), 1e-5).max_delta == 0
    assert compare(reference, np.array([[0.0, 1.0]], np.float32), 1e-5).max_delta == np.inf


def test_a_tie_counts_as_wrong_as_in_caffe() -> None:
    scores = np.array([[0.4, 0.4, 0.2], [0.1, 0.8, 0.1]], np.float32)
    assert judge(scores, np.array([0, 1])) == {
        "top1": 0.5,
        "top5": None,
        "log_loss": pytest.approx(-(np.log(0.4) + np.log(0.8)) / 2),
    }
    assert judge(scores * 3, np.array([0, 1]))["log_loss"] is None
    with pytest.raises(CaffeError, match="image 1: label 3 is not one of the 3 classes"):
        judge(scores, np.array([0, 3]))


def test_a_failed_runtime_spoils_the_verdict_a_missing_one_does_not() -> None:
    def report(*names: str) -> VerifyReport:
        made = VerifyReport(Path("x.onnx"), Path("db"), 1e-5)
        made.labels = np.zeros(2, np.int64)
        made.compare({name: Answers("1", np.full((2, 2), 0.5, np.float32), 1.0) for name in names})
        return made

    missing, failed, alone = report(*HERE), report(*HERE), report("torch")
    missing.unavailable["onnx_check"] = "no compiler"
    assert missing.ok
    failed.failures["onnx_check"] = "wrong mean"
    assert (failed.ok, failed.verdict) == (False, "onnx_check failed: wrong mean")
    assert (alone.ok, alone.verdict) == (False, "nothing to compare: fewer than two runtimes answered")


def test_errors_are_one_line(mini_run, model: Path, tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match=r"nix\.onnx: no such ONNX file; yosinski export writes one"):
        run(mini_run, tmp_path / "nix.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(CaffeError, match=r"broken\.onnx: not an ONNX file: .*") as error:
        run(mini_run, broken)
    assert "\n" not in str(error.value)
    with pytest.raises(CaffeError, match="runtime tensorflow: expected some of torch, onnxruntime, onnx_check"):
        run(mini_run, model, runtimes=("torch", "tensorflow"))
    with pytest.raises(CaffeError, match="no such database"):
        verify(model, tmp_path / "db", prototxt=mini_run.net, weights=[mini_run.weights])
