"""Accuracy and loss, against numpy and against what real Caffe measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper


def accuracy(scores: np.ndarray, labels: np.ndarray, top_k: int) -> float:
    """Caffe 1.0's rule: right if fewer than `top_k` other classes score as high or higher."""
    own = scores[np.arange(len(labels)), labels]
    return float(np.mean((scores >= own[:, None]).sum(axis=1) - 1 < top_k))


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_ties_count_against_the_label(checker: Any, make: Any, batch: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (50, 9)).astype(np.float32)
    labels = rng.integers(0, 9, 50)
    report = checker.report("--model", make.identity(), "--db", make.scores_db(scores, labels), "--batch", batch)
    assert report["top1"] == pytest.approx(accuracy(scores, labels, 1))
    assert report["top5"] == pytest.approx(accuracy(scores, labels, 5))
    assert 0 < report["top1"] < report["top5"] < 1
    assert (report["images"], report["classes"], report["batch"]) == (50, 9, batch)


@pytest.mark.parametrize("case", ["accuracy", "accuracy_ties", "accuracy_4d"])
def test_top1_is_real_caffes(checker: Any, make: Any, golden: Path, case: str) -> None:
    measured = np.load(golden / "layers" / f"{case}.npz")
    scores, labels = measured["bottom_0"], measured["bottom_1"].astype(int).reshape(-1)
    db = make.scores_db(scores.reshape(len(labels), -1), labels)
    report = checker.report("--model", make.identity(), "--db", db)
    assert report["top1"] == pytest.approx(float(measured["top_0"]), abs=1e-7)


def test_log_loss_has_caffes_floor(checker: Any, make: Any) -> None:
    probabilities = np.array([[0.25, 0.75, 0], [1, 0, 0], [0.5, 0.25, 0.25]], np.float32)
    labels = [1, 2, 0]
    report = checker.report("--model", make.identity(), "--db", make.scores_db(probabilities, labels))
    floor = float(np.finfo(np.float32).tiny)
    assert report["mean_log_loss"] == pytest.approx(-np.mean(np.log([0.75, floor, 0.5])), rel=1e-6)
    assert report["top5"] is None  # Caffe asks for no more classes than there are


def test_scores_that_are_no_probabilities_have_no_loss(checker: Any, make: Any) -> None:
    report = checker.report("--model", make.identity(), "--db", make.scores_db(np.eye(6) * 3, range(6)))
    assert (report["top1"], report["mean_log_loss"], report["non_finite"]) == (1, None, 0)


def test_images_that_are_not_finite_are_counted(checker: Any, make: Any) -> None:
    scores = np.array([[0, 1, 0], [np.nan, 0, 1], [0, np.inf, 0]])
    report = checker.report("--model", make.identity(), "--db", make.scores_db(scores, [1, 1, 1]))
    assert (report["non_finite"], report["mean_log_loss"]) == (2, None)


def fully_connected(make: Any, weights: np.ndarray, bias: np.ndarray, batch: int | str = "N") -> Path:
    """InnerProduct and Softmax on images of 2x3x4."""
    nodes = [
        helper.make_node("Flatten", ["data"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["fc"], transB=1),
        helper.make_node("Softmax", ["fc"], ["prob"], axis=1),
    ]
    shapes = {"data": [batch, 2, 3, 4]}
    return make.model(nodes, shapes, {"prob": [batch, 6], "fc": [batch, 6]}, {"w": weights, "b": bias})


@pytest.mark.parametrize("batch", ["N", 4])
def test_a_net_over_a_database(checker: Any, make: Any, tmp_path: Path, batch: int | str) -> None:
    rng = np.random.default_rng(1)
    weights, bias = rng.normal(0, 0.02, (6, 24)).astype(np.float32), rng.normal(size=6).astype(np.float32)
    images = rng.integers(0, 256, (22, 2, 3, 4), dtype=np.uint8)
    labels = rng.integers(0, 6, 22)
    model = fully_connected(make, weights, bias, batch)
    db = make.db(make.datum(image, int(label)) for image, label in zip(images, labels, strict=True))
    arguments = ["--model", model, "--db", db, "--scale", 0.5, "--mean-value", 100]
    arguments += ["--dump", tmp_path / "prob", "--dump", f"fc={tmp_path / 'fc'}", "--threads", 1]
    report = checker.report(*arguments)

    fc = ((images.reshape(22, 24) - 100.0) * 0.5) @ weights.T + bias
    prob = softmax(fc)
    for name, expected in (("fc", fc), ("prob", prob)):
        assert report["dumps"][name]["shape"] == [22, 6]
        np.testing.assert_allclose(np.fromfile(tmp_path / name, np.float32).reshape(22, 6), expected, rtol=2e-5)
    assert report["top1"] == pytest.approx(accuracy(prob, labels, 1))
    assert report["mean_log_loss"] == pytest.approx(-np.log(prob[np.arange(22), labels]).mean(), rel=1e-5)
    assert (report["output"], report["threads"], report["batch"]) == ("prob", 1, 4 if batch == 4 else 64)
    spent = {key: value for key, value in report.items() if key.endswith("_s") and key != "images_per_s"}
    assert set(spent) == {f"{what}_s" for what in ("load", "warm_up", "total", "read", "transform", "wait", "run")}
    assert all(value > 0 for value in spent.values())
    assert report["total_s"] >= report["wait_s"] + report["run_s"]  # the warm-up is in none of them
    assert report["images_per_s"] == pytest.approx(22 / report["total_s"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "fc", "net.onnx", "prob"]


def test_limit_takes_the_first_images(checker: Any, make: Any) -> None:
    db = make.scores_db(np.eye(6), [0, 1, 2, 0, 0, 0])
    assert checker.report("--model", make.identity(), "--db", db, "--limit", 3)["top1"] == 1
    assert checker.report("--model", make.identity(), "--db", db, "--limit", 99)["images"] == 6


def test_reading_leaves_no_trace_in_the_database(checker: Any, make: Any) -> None:
    db = make.scores_db(np.eye(3), range(3))
    (db / "lock.mdb").unlink()
    checker.report("--model", make.identity(), "--db", db)
    assert [path.name for path in db.iterdir()] == ["data.mdb"]
