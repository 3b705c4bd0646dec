"""Models that crop, take off the mean and scale by themselves: they get the pixels as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper

PIXELS = np.random.default_rng(6).integers(0, 256, (7, 3, 6, 8), np.uint8)
LABELS = [0, 1, 2, 3, 0, 1, 2]
WEIGHTS = np.random.default_rng(7).normal(size=(3 * 4 * 4, 4)).astype(np.float32)
# What the export says of such a model. Done twice, each of these would show in the scores.
METADATA = {
    "preprocessing": "in the model",
    "channel_order": "BGR",
    "crop_size": "4",
    "scale": "0.5",
    "mean_sha256": "0" * 64,
}


def net(
    make: Any, metadata: dict[str, str] | None = None, kind: int = TensorProto.UINT8, batch: int | str = "N"
) -> Path:
    """Cast, the central crop of 4 x 4, and a matrix."""
    nodes = [
        helper.make_node("Cast", ["data"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["floats", "begins", "ends", "axes"], ["crop"]),
        helper.make_node("Flatten", ["crop"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["fc"]),
    ]
    weights = {"begins": np.array([1, 2]), "ends": np.array([5, 6]), "axes": np.array([2, 3]), "weights": WEIGHTS}
    shapes = {"data": [batch, 3, 6, 8]}, {"fc": [batch, 4]}
    return make.model(nodes, *shapes, weights, METADATA if metadata is None else metadata, {"data": kind})


def scores(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 1:5, 2:6].reshape(len(pixels), -1).astype(np.float64) @ WEIGHTS


@pytest.mark.parametrize("batch", ["N", 3])
def test_pixels_go_in_as_they_are_stored(checker: Any, make: Any, batch: int | str) -> None:
    db = make.db(map(make.datum, PIXELS, LABELS))
    dump = make.folder / "fc.f32"
    report = checker.report("--model", net(make, batch=batch), "--db", db, "--batch", 3, "--dump", dump)
    found, expected = np.fromfile(dump, "<f4").reshape(7, 4), scores(PIXELS)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)
    assert report["top1"] == pytest.approx(np.mean(expected.argmax(1) == LABELS))
    assert report["transform"] == {"preprocessing": "in the model"}


@pytest.mark.parametrize("metadata", [{}, {"crop_size": "4"}])
def test_the_inputs_type_decides_where_the_metadata_are_silent(checker: Any, make: Any, metadata: dict) -> None:
    found = checker.outputs(net(make, metadata), make.db(map(make.datum, PIXELS)))
    np.testing.assert_allclose(found, scores(PIXELS), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("force", ["", "color"])
def test_encoded_images_go_in_decoded(checker: Any, make: Any, force: str) -> None:
    image = PIXELS[0].transpose(1, 2, 0) if not force else PIXELS[0, 0]
    encoded = cv2.imencode(".png", np.ascontiguousarray(image))[1].tobytes()
    expected = PIXELS[:1] if not force else np.repeat(PIXELS[:1, :1], 3, axis=1)
    found = checker.outputs(net(make), make.db([make.datum(encoded)]), *([f"--force-{force}"] if force else []))
    np.testing.assert_allclose(found, scores(expected), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("option", "value"), [("--crop", 0), ("--mean", "m"), ("--mean-value", 104), ("--scale", 1)])
def test_preprocessing_cannot_be_asked_for_again(checker: Any, make: Any, option: str, value: object) -> None:
    model, db = net(make), make.db([make.datum(PIXELS[0])])
    for more in ([], ["--ignore-metadata"]):
        line = checker.error("--model", model, "--db", db, option, value, *more)
        assert line.startswith(f"{option} is not for {model}: ") and "preprocessing is in the model" in line


def test_images_that_do_not_fit(checker: Any, make: Any) -> None:
    line = checker.error("--model", net(make), "--db", make.db([make.datum(PIXELS[0, :, :5])]))
    assert "takes ?x3x6x8, but the stored images are 3x5x8" in line
    floats = type(make)(make.folder / "floats")
    floats.folder.mkdir()
    line = checker.error("--model", net(make), "--db", floats.db([make.datum(PIXELS[0].astype(np.float32))]))
    assert "record 00000000_image: an image of floats, but the model takes uint8 pixels" in line


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (TensorProto.FLOAT, "preprocessing", "in the model"),
        (TensorProto.UINT8, "preprocessing", "outside the model"),
        (TensorProto.UINT8, "channel_order", "RGB"),
    ],
)
def test_contradictions_are_named(checker: Any, make: Any, kind: int, key: str, value: str) -> None:
    db = make.db([make.datum(PIXELS[0])])
    assert f'{key} = "{value}"' in checker.error("--model", net(make, {key: value}, kind), "--db", db)
