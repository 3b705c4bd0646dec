"""The TEST transform: bit for bit what numpy and real Caffe make of the same records."""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


GOLDEN = [
    *("lmdb_crop_centre", "lmdb_crop_centre_rect", "lmdb_float", "lmdb_gray", "lmdb_meanfile", "lmdb_nolabel"),
    *("lmdb_meanfile_crop_scale", "lmdb_meanvalue1_scale", "lmdb_meanvalue3", "lmdb_native_crop", "lmdb_plain"),
    *("lmdb_scale", "lmdb_shuffled", "lmdb_encoded_force_color_crop", "lmdb_encoded_force_gray", "lmdb_encoded_jpg"),
    "lmdb_encoded_png",
]


@pytest.mark.parametrize("case", GOLDEN)
def test_images_are_real_caffes(checker: Any, make: Any, golden: Path, case: str) -> None:
    text = (golden / "data" / f"{case}.prototxt").read_text()
    arguments: list[object] = []
    for field, option in (("mean_file", "--mean"), ("crop_size", "--crop"), ("scale", "--scale")):
        for value in re.findall(rf'{field}: "?([^" }}]+)', text):
            arguments += [option, golden / value if field == "mean_file" else value]
    if means := re.findall(r"mean_value: ([\d.]+)", text):
        arguments += ["--mean-value", ",".join(means)]
    arguments += [f"--force-{kind}" for kind in ("color", "gray") if f"force_{kind}: true" in text]

    if case == "lmdb_float":
        arguments += ["--limit", 4]  # the fifth label is none of 24 classes

    measured = np.load(golden / "data" / f"{case}.npz")
    names = sorted(name for name in measured.files if name.startswith("top_0"))
    expected = np.concatenate([measured[name] for name in names])
    (source,) = re.findall(r'source: "(.+?)"', text)
    found = checker.outputs(make.identity(), golden / source, *arguments)
    shared = min(len(found), len(expected))  # Caffe starts over at the database's end
    assert shared >= 4
    np.testing.assert_array_equal(found[:shared], expected[:shared])


@pytest.mark.parametrize(("height", "width", "crop"), [(8, 8, 5), (7, 10, 4), (6, 9, 6), (5, 5, 5), (5, 6, 0)])
@pytest.mark.parametrize("modern", [False, True])
def test_crop_mean_and_scale(checker: Any, make: Any, height: int, width: int, crop: int, modern: bool) -> None:
    pixels = images(3, 3, height, width)
    mean = np.random.default_rng(2).uniform(0, 255, (3, height, width)).astype(np.float32)
    arguments = ["--crop", crop, "--mean", make.mean(mean, modern=modern, doubles=modern), "--scale", 0.017]
    found = checker.outputs(make.identity(), make.db(map(make.datum, pixels)), *arguments)
    top, left = ((height - crop) // 2, (width - crop) // 2) if crop else (0, 0)
    window = np.s_[..., top : top + (crop or height), left : left + (crop or width)]
    np.testing.assert_array_equal(found, ((pixels.astype(np.float32) - mean) * np.float32(0.017))[window])


@pytest.mark.parametrize("packed", [False, True])
def test_floats_and_mean_values(checker: Any, make: Any, packed: bool) -> None:
    values = np.random.default_rng(3).normal(size=(2, 3, 4, 5)).astype(np.float32)
    db = make.db(make.datum(value, packed=packed) for value in values)
    found = checker.outputs(make.identity(3, 4, 5), db, "--mean-value", "0.1,-2,30")
    np.testing.assert_array_equal(found, values - np.array([0.1, -2, 30], np.float32)[:, None, None])


KINDS = {
    "baseline.jpg": [cv2.IMWRITE_JPEG_QUALITY, 80],
    "progressive.jpg": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "full_chroma.jpg": [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    "fast.png": [cv2.IMWRITE_PNG_COMPRESSION, 1],
}


@pytest.mark.parametrize(("kind", "channels"), [*itertools.product(KINDS, [1, 3]), ("fast.png", 4)])
@pytest.mark.parametrize("force", ["", "color", "gray"])
def test_encoded_images_decode_as_in_opencv(checker: Any, make: Any, kind: str, channels: int, force: str) -> None:
    smooth = cv2.GaussianBlur(images(37, 43, channels), (0, 0), 2)
    encoded = cv2.imencode("." + kind.split(".")[1], smooth, KINDS[kind])[1]
    flag = {"": cv2.IMREAD_UNCHANGED, "color": cv2.IMREAD_COLOR, "gray": cv2.IMREAD_GRAYSCALE}[force]
    expected = np.atleast_3d(cv2.imdecode(encoded, flag)).transpose(2, 0, 1)
    arguments = [f"--force-{force}"] if force else []
    found = checker.outputs(make.identity(), make.db([make.datum(encoded.tobytes())]), *arguments)
    np.testing.assert_array_equal(found[0], expected)


def test_the_model_knows_its_crop_scale_and_mean_values(checker: Any, make: Any) -> None:
    pixels = images(2, 3, 8, 8)
    metadata = {"crop_size": "4", "scale": "0.5", "mean_value": "104,117,123", "channel_order": "BGR", "other": "é\n"}
    model, db = make.identity(3, "H", "W", metadata=metadata), make.db(map(make.datum, pixels))
    centre = pixels[..., 2:6, 2:6].astype(np.float32)
    means = np.array([104, 117, 123], np.float32)[:, None, None]
    np.testing.assert_array_equal(checker.outputs(model, db), (centre - means) * np.float32(0.5))
    found = checker.outputs(model, db, "--mean-value", 100, "--scale", 2, "--crop", 0)
    np.testing.assert_array_equal(found, (pixels.astype(np.float32) - 100) * 2)
    np.testing.assert_array_equal(checker.outputs(model, db, "--ignore-metadata"), pixels.astype(np.float32))
    report = checker.report("--model", model, "--db", db)
    assert report["metadata"] == metadata
    assert report["transform"] == {"crop_size": 4, "scale": 0.5, "mean_value": [104, 117, 123]}


@pytest.mark.parametrize("size", [1, 3, 4, 50])  # paddings of SHA-256 of every kind
def test_the_mean_must_be_the_models(checker: Any, make: Any, size: int) -> None:
    pixels = images(1, 1, 1, size)
    mean = make.mean(np.full((1, 1, size), 5, np.float32))
    sha = hashlib.sha256(mean.read_bytes()).hexdigest()
    model, db = make.identity(metadata={"mean_sha256": sha}), make.db(map(make.datum, pixels))
    np.testing.assert_array_equal(checker.outputs(model, db, "--mean", mean), pixels.astype(np.float32) - 5)

    line = checker.error("--model", model, "--db", db)
    assert sha in line and "--mean" in line
    other = make.mean(np.full((1, 1, size), 6, np.float32))
    line = checker.error("--model", model, "--db", db, "--mean", other)
    assert sha in line and hashlib.sha256(other.read_bytes()).hexdigest() in line and str(other) in line
    checker.report("--model", model, "--db", db, "--mean", other, "--ignore-metadata")


@pytest.mark.parametrize(
    ("key", "value"),
    [("channel_order", "RGB"), ("crop_size", "-3"), ("crop_size", "2.5"), ("scale", "big"), ("scale", "1,2")],
)
def test_metadata_that_make_no_sense_are_named(checker: Any, make: Any, key: str, value: str) -> None:
    line = checker.error(
        *("--model", make.identity(metadata={key: value}), "--db", make.db([make.datum(images(3, 4, 4))]))
    )
    assert f'{key} = "{value}"' in line
