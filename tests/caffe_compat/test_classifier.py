"""Classifier and Detector, on a net whose output is easy to foresee: the mean of each channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import caffe_compat as caffe
from caffe_compat.errors import CaffeError

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
layer { name: "mean" type: "Pooling" bottom: "conv" top: "mean" pooling_param { pool: AVE global_pooling: true } }
layer { name: "prob" type: "Flatten" bottom: "mean" top: "prob" }
"""


def draw(*shape: int) -> np.ndarray:
    """Numbers between 0 and 1, the same whichever tests have run before."""
    return np.random.default_rng(0).random(shape)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A net that gives each channel's mean, and its weights."""
    (tmp_path / "deploy.prototxt").write_text(NET)
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.params["conv"][0].data[...] = np.eye(3).reshape(3, 3, 1, 1)
    net.save(str(tmp_path / "w.caffemodel"))
    return str(tmp_path / "deploy.prototxt"), str(tmp_path / "w.caffemodel")


def test_predict_the_centre(files: tuple[str, str]) -> None:
    classifier = caffe.Classifier(
        *files, image_dims=(10, 12), mean=np.array([1.0, 2, 3]), raw_scale=255, channel_swap=(2, 1, 0)
    )
    images = draw(5, 10, 12, 3).astype(np.float32)
    got = classifier.predict(images, oversample=False)
    want = images[:, 1:9, 2:10].mean((1, 2))[:, ::-1] * 255 - [1, 2, 3]
    np.testing.assert_allclose(got, want, rtol=1e-4)


def test_predict_the_mean_of_ten_crops(files: tuple[str, str]) -> None:
    classifier = caffe.Classifier(*files, image_dims=(10, 12), input_scale=2)
    images = draw(3, 10, 12, 3).astype(np.float32)
    want = [2 * caffe.io.oversample([image], (8, 8)).mean((0, 1, 2)) for image in images]
    np.testing.assert_allclose(classifier.predict(list(images)), want, rtol=1e-4)


def test_images_of_any_size_are_resized_to_the_input(files: tuple[str, str]) -> None:
    classifier = caffe.Classifier(*files)
    assert classifier.predict([np.ones((30, 20, 3)), np.ones((5, 9, 3))], oversample=False).tolist() == [[1, 1, 1]] * 2


@pytest.fixture
def image(tmp_path: Path) -> tuple[str, np.ndarray]:
    pixels = (draw(20, 30, 3) * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "image.png"), pixels)
    return str(tmp_path / "image.png"), (pixels[:, :, ::-1] / 255).astype(np.float32)


def test_windows_of_images(files: tuple[str, str], image: tuple[str, np.ndarray]) -> None:
    name, pixels = image
    detector = caffe.Detector(*files, raw_scale=10)
    windows = [np.array([0, 0, 8, 8]), np.array([4, 6, 12, 14]), (1, 2, 17, 18)]
    found = detector.detect_windows([(name, windows), (name, windows[:1])])
    assert [detection["filename"] for detection in found] == [name] * 4
    assert found[2]["window"] == windows[2]
    np.testing.assert_allclose(found[0]["prediction"], pixels[:8, :8].mean((0, 1)) * 10, rtol=1e-4)
    np.testing.assert_allclose(found[1]["prediction"], pixels[4:12, 6:14].mean((0, 1)) * 10, rtol=1e-4)
    np.testing.assert_allclose(found[2]["prediction"], pixels[1:17, 2:18].mean((0, 1)) * 10, rtol=1e-4)
    np.testing.assert_array_equal(found[3]["prediction"], found[0]["prediction"])
    assert detector.detect_windows([]) == []


def test_context_shows_what_surrounds_a_window(files: tuple[str, str], image: tuple[str, np.ndarray]) -> None:
    """Windows of 4 by 4 pixels, their ends included, in an input of 8 by 8 whose outer half shows context."""
    _, pixels = image
    detector = caffe.Detector(*files, mean=np.array([5.0, 6, 7]), raw_scale=10, channel_swap=(2, 1, 0), context_pad=2)
    inside = detector.crop(pixels, np.array([6, 8, 9, 11]))
    np.testing.assert_allclose(inside, caffe.io.resize_image(pixels[4:12, 6:14], (8, 8)), atol=1e-6)

    corner = detector.crop(pixels, np.array([0, 0, 3, 3]))
    assert corner.shape == (8, 8, 3)
    outside = [0.7, 0.6, 0.5]  # the mean, as an image has it: not scaled, RGB
    np.testing.assert_allclose(corner[:2], np.broadcast_to(outside, (2, 8, 3)), rtol=1e-6)
    np.testing.assert_allclose(corner[:, :2], np.broadcast_to(outside, (8, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(corner[2:, 2:], pixels[:6, :6], atol=1e-6)
    assert not detector.transformer.preprocess("data", corner)[:, :2].round(4).any()


def test_a_window_outside_the_image_is_named(files: tuple[str, str], image: tuple[str, np.ndarray]) -> None:
    detector = caffe.Detector(*files, context_pad=1)
    with pytest.raises(CaffeError, match=r"window \[50, 50, 60, 60\] lies outside the image of 20 x 30 pixels"):
        detector.crop(image[1], np.array([50, 50, 60, 60]))


def test_selective_search_is_somebody_elses(files: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    detector: Any = caffe.Detector(*files)
    with pytest.raises(CaffeError, match="selective_search_ijcv_with_python"):
        detector.detect_selective_search(["a.png"])
