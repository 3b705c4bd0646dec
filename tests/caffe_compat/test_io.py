"""``caffe.io``: messages, images in files, and the way of an image into a net."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_compat import io
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers between 0 and 1, the same whichever tests have run before."""
    return np.random.default_rng(seed).random(shape)


def test_blobs_and_arrays() -> None:
    values, diff = draw(2, 3, 4), draw(2, 3, 4, seed=1)
    blob = io.array_to_blobproto(values, diff)
    assert list(blob.shape.dim) == [2, 3, 4]
    np.testing.assert_allclose(io.blobproto_to_array(blob), values, rtol=1e-6)
    np.testing.assert_allclose(io.blobproto_to_array(blob, return_diff=True), diff, rtol=1e-6)
    old = io.caffe_pb2.BlobProto(num=1, channels=2, height=1, width=2, data=[1, 2, 3, 4])
    assert io.blobproto_to_array(old).tolist() == [[[[1, 2]], [[3, 4]]]]


def test_vectors_of_blobs() -> None:
    arrays = [np.arange(6.0).reshape(1, 2, 3, 1), np.ones((2, 2))]
    content = io.arraylist_to_blobprotovector_str(arrays)
    assert isinstance(content, bytes)
    for got, want in zip(io.blobprotovector_str_to_arraylist(content), arrays, strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_datums_and_arrays(dtype: type) -> None:
    image = (draw(3, 4, 5) * 255).astype(dtype)
    datum = io.array_to_datum(image, 7)
    assert datum.label == 7
    assert len(datum.float_data) == (0 if dtype is np.uint8 else 60)
    back = io.datum_to_array(caffe_pb2.Datum.FromString(datum.SerializeToString()))
    np.testing.assert_array_equal(back, image)
    back[0, 0, 0] = 1  # one's own
    assert not io.array_to_datum(image).HasField("label")
    with pytest.raises(CaffeError, match=r"shape \[4, 5\]; expected 3 axes"):
        io.array_to_datum(image[0])


@pytest.mark.parametrize(("dtype", "largest"), [(np.uint8, 255), (np.uint16, 65535)])
def test_images_are_rgb_between_0_and_1(tmp_path: Path, dtype: type, largest: int) -> None:
    bgra = (draw(5, 6, 4) * largest).astype(dtype)
    grey = bgra[:, :, 0]
    for name, array in (("grey", grey), ("bgr", bgra[:, :, :3]), ("bgra", bgra)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), array)
    rgb = (bgra[:, :, 2::-1] / largest).astype(np.float32)
    for name in ("bgr", "bgra"):
        found = io.load_image(str(tmp_path / f"{name}.png"))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, rgb)
    mixed = rgb.astype(float) @ [0.2125, 0.7154, 0.0721]
    np.testing.assert_allclose(io.load_image(tmp_path / "bgr.png", color=False)[:, :, 0], mixed, rtol=1e-6)
    want = (grey / largest).astype(np.float32)
    np.testing.assert_array_equal(io.load_image(tmp_path / "grey.png", color=False), want[:, :, None])
    np.testing.assert_array_equal(io.load_image(tmp_path / "grey.png"), np.dstack([want] * 3))


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    for name, message in (("none.png", "cannot read the image"), ("text.png", "not an image"), ("empty.png", "not an")):
        with pytest.raises(CaffeError, match=rf"{name}: {message}"):
            io.load_image(tmp_path / name)


def test_shrinking_takes_the_mean_of_the_pixels_in_between() -> None:
    image = np.arange(16.0).reshape(4, 4, 1)
    assert io.resize_image(image, (2, 2))[:, :, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert io.resize_image(image, (2, 4))[:, 1, 0].tolist() == [3, 11]
    assert io.resize_image(image, (4, 2), interp_order=0)[0, :, 0].tolist() == [1, 3]


def test_enlarging_fades_to_the_smallest_value_at_the_edge() -> None:
    """Positions -0.25, 0.25, 0.75, 1.25 of [10, 30]; beyond the edge lies 10."""
    image = np.array([10.0, 30.0]).reshape(1, 2, 1)
    assert io.resize_image(np.repeat(image, 2, 0), (2, 4))[0, :, 0].tolist() == [10, 15, 25, 25]
    np.testing.assert_array_equal(io.resize_image(np.full((2, 2, 3), 7.0), (5, 5)), np.full((5, 5, 3), 7))


def test_other_numbers_of_channels_keep_the_corners() -> None:
    image = np.stack([np.arange(3.0), 10 * np.arange(3.0)], -1)[None].repeat(2, 0)
    got = io.resize_image(image, (3, 5))
    assert got.dtype == np.float32
    assert got[1].tolist() == [[0, 0], [0.5, 5], [1, 10], [1.5, 15], [2, 20]]
    assert io.resize_image(image, (1, 1)).tolist() == [[[0, 0]]]


def test_other_orders_are_refused() -> None:
    with pytest.raises(CaffeError, match="interp_order is 3; expected 0"):
        io.resize_image(np.zeros((2, 2, 3)), (4, 4), 3)


def test_ten_crops() -> None:
    images = draw(2, 6, 7, 3).astype(np.float32)
    crops = io.oversample(images, (4, 4))
    assert crops.shape == (20, 4, 4, 3)
    for image, ten in zip(images, crops.reshape(2, 10, 4, 4, 3)):
        corners = [image[:4, :4], image[:4, 3:], image[2:, :4], image[2:, 3:], image[1:5, 1:5]]
        np.testing.assert_array_equal(ten[:5], corners)
        np.testing.assert_array_equal(ten[5:], [corner[:, ::-1] for corner in corners])


@pytest.fixture
def transformer() -> io.Transformer:
    transformer = io.Transformer({"data": (10, 3, 4, 5)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 0, 1))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", np.array([1.0, 2.0, 3.0]))
    transformer.set_input_scale("data", 0.5)
    return transformer


def test_preprocess_and_back(transformer: io.Transformer) -> None:
    image = draw(4, 5, 3).astype(np.float32)
    before = image.copy()
    got = transformer.preprocess("data", image)
    assert got.dtype == np.float32
    want = (image.transpose(2, 0, 1)[[2, 0, 1]] * 255 - np.array([1, 2, 3])[:, None, None]) * 0.5
    np.testing.assert_allclose(got, want, rtol=1e-5)
    np.testing.assert_allclose(transformer.deprocess("data", got[None]), image, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(image, before)


def test_preprocess_resizes_first(transformer: io.Transformer) -> None:
    image = draw(8, 10, 3).astype(np.float32)
    want = transformer.preprocess("data", io.resize_image(image, (4, 5)))
    np.testing.assert_array_equal(transformer.preprocess("data", image), want)


def test_means_of_every_shape(transformer: io.Transformer) -> None:
    image = np.zeros((4, 5, 3), np.float32)
    mean = draw(3, 4, 5)
    transformer.set_mean("data", mean)
    np.testing.assert_allclose(transformer.preprocess("data", image), -mean / 2, rtol=1e-6)
    transformer.set_mean("data", np.arange(3 * 8 * 10.0).reshape(3, 8, 10))
    assert transformer.mean["data"].shape == (3, 4, 5)
    assert transformer.mean["data"][1, 0, 0] == np.mean([80, 81, 90, 91])
    grey = io.Transformer({"data": (1, 1, 4, 5)})
    grey.set_mean("data", mean[0])
    assert grey.mean["data"].shape == (1, 4, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.preprocess("image", np.zeros((4, 5, 3))), "image is not one of the net inputs: data"),
        (lambda t: t.set_transpose("data", (1, 0)), r"transpose \(1, 0\) for data: expected 3 axes"),
        (lambda t: t.set_channel_swap("data", (1, 0)), r"channel swap \(1, 0\) for data: expected 3 channels"),
        (lambda t: t.set_mean("data", np.zeros(4)), "mean of 4 channels for data, which has 3"),
        (lambda t: t.set_mean("data", np.zeros((1, 3, 4, 5))), r"mean of shape \[1, 3, 4, 5\]"),
        (
            lambda t: (
                t.set_transpose("data", (0, 1, 2)) or t.channel_swap.clear() or t.preprocess("data", np.ones((4, 5, 3)))
            ),
            r"image of shape \[4, 5, 3\] for data, whose mean has \[3, 1, 1\]; set_transpose\('data', \(2, 0, 1\)\)",
        ),
    ],
)
def test_wrong_settings_are_named(transformer: io.Transformer, call: object, message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        call(transformer)  # type: ignore[operator]
