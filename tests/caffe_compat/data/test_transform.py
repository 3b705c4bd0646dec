"""The transformer against its formula, out = (pixel - mean) * scale, pixel by pixel, in one step and in two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat import rng as caffe_rng
from caffe_compat.data.mean import write_mean
from caffe_compat.data.picture import AS_STORED, COLOR, GRAY
from caffe_compat.data.transform import Placement, Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
SHAPE = (3, 9, 11)


def transformer(phase: int = TEST, **fields: object) -> Transformer:
    return Transformer(caffe_pb2.TransformationParameter(**fields), phase)


def by_formula(image: np.ndarray, at: Placement, mean: np.ndarray, scale: float, size: tuple[int, int]) -> np.ndarray:
    out = np.empty((len(image), *size), np.float32)
    for c, y, x in np.ndindex(out.shape):
        pixel = np.float32(image[c, at.top + y, at.left + x])
        value = np.float32(np.float32(pixel - mean[c, at.top + y, at.left + x]) * np.float32(scale))
        out[c, y, size[1] - 1 - x if at.mirror else x] = value
    return out


@pytest.mark.parametrize("crop", [0, 4])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("kind", ["file", "value", "values", "none"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_apply_and_finish(
    tmp_path: Path, rng: np.random.Generator, crop: int, mirror: bool, kind: str, dtype: type
) -> None:
    image = rng.integers(0, 256, SHAPE).astype(dtype)
    mean = rng.random(SHAPE, np.float32) * 255
    fields: dict[str, object] = {"crop_size": crop, "scale": 0.0171}
    if kind == "file":
        write_mean(tmp_path / "mean", mean)
        fields["mean_file"] = str(tmp_path / "mean")
    else:
        values = {"value": [12.3], "values": [101.1, 7.7, 33.3], "none": []}[kind]
        fields["mean_value"] = values
        mean[...] = np.array(values or [0], np.float32)[:, None, None]
    transform = transformer(**fields)
    at = Placement(mirror, 3, 5) if crop else Placement(mirror, 0, 0)
    size = (4, 4) if crop else SHAPE[1:]
    want = by_formula(image, at, mean, 0.0171, size)

    out = np.empty((3, *size), np.float32)
    transform.apply([image], [at], out[None])
    np.testing.assert_array_equal(out, want)

    cut = np.empty((2, 3, *size), dtype)
    other = Placement(not mirror, 0, 0)
    transform.cut([image, image], [at, other], cut)
    finished = transform.finish(torch.from_numpy(cut), [at, other])
    assert finished.dtype == torch.float32
    np.testing.assert_array_equal(finished[0].numpy(), want)
    np.testing.assert_array_equal(finished[1].numpy(), by_formula(image, other, mean, 0.0171, size))


def test_strided_image(rng: np.random.Generator) -> None:
    """A decoded picture has its channels last in memory."""
    image = rng.integers(0, 256, SHAPE, np.uint8)
    strided = np.ascontiguousarray(image.transpose(1, 2, 0)).transpose(2, 0, 1)
    outs = np.empty((2, 3, 5, 5), np.float32)
    for out, source in zip(outs, (image, strided)):
        transformer(crop_size=5).apply([source], [Placement(True, 1, 2)], out[None])
    np.testing.assert_array_equal(outs[0], outs[1])


@pytest.mark.parametrize("mean", ["file", "none"])
def test_images_of_all_kinds_at_once(tmp_path: Path, rng: np.random.Generator, mean: str) -> None:
    planes = [rng.integers(0, 256, SHAPE, np.uint8) for _ in range(11)]
    decoded = [np.ascontiguousarray(image.transpose(1, 2, 0)).transpose(2, 0, 1) for image in planes]
    floats = [image.astype(np.float32) for image in planes]
    kinds = zip(planes, decoded, floats)
    values = rng.random(SHAPE, np.float32) * 255 if mean == "file" else np.zeros(SHAPE, np.float32)
    write_mean(tmp_path / "mean", values)
    transform = transformer(crop_size=4, mean_file=str(tmp_path / "mean") if mean == "file" else "")
    places = [Placement(i % 3 == 0, i % 4, i % 5) for i in range(11)]
    want = [by_formula(image, at, values, 1, (4, 4)) for image, at in zip(planes, places)]
    for images in (planes, decoded, floats, [kind[i % 3] for i, kind in enumerate(kinds)]):
        out = np.empty((11, 3, 4, 4), np.float32)
        transform.apply(images, places, out)
        np.testing.assert_array_equal(out, want)


def test_floats_that_are_hardly_numbers(tmp_path: Path) -> None:
    image = np.array([1e-45, -3e-39, np.inf, np.nan, 3e38, 1, -0.0, 5e-40] * 9, np.float32).reshape(3, 4, 6)
    mean = np.array([3e-45, 1e-39, np.inf, 1, -3e38, np.nan, 0.0] * 11, np.float32)[:72].reshape(3, 4, 6)
    write_mean(tmp_path / "mean", mean)
    out = np.empty((3, 4, 6), np.float32)
    transformer(mean_file=str(tmp_path / "mean")).apply([image], [Placement(False, 0, 0)], out[None])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, image - mean)


def test_decisions_come_from_the_own_generator_in_caffes_order() -> None:
    caffe_rng.set_random_seed(5)
    transform = transformer(TRAIN, crop_size=4, mirror=True)
    transform.init_rng()
    seed = caffe_rng.Rng(5).next_u32()
    words = caffe_rng.Rng(seed)
    for chance in transform.draw(13) + transform.draw(7):
        mirror, top, left = words.next_u32() % 2 == 1, words.next_u32() % 6, words.next_u32() % 8
        assert transform.place(chance, SHAPE) == Placement(mirror, top, left)


def test_a_crop_as_large_as_the_image_still_draws() -> None:
    transform = transformer(TRAIN, crop_size=9)
    transform.init_rng()
    assert transform.rng is not None
    before = caffe_rng.Rng(0)
    before.set_state(transform.rng.get_state())
    assert transform.place(transform.draw(1)[0], (3, 9, 9)) == Placement(False, 0, 0)
    before.u32(2)
    assert transform.rng.next_u32() == before.next_u32()


def test_no_generator_where_nothing_is_random() -> None:
    caffe_rng.set_random_seed(5)
    transform = transformer(TEST, crop_size=4)
    transform.init_rng()
    assert transform.rng is None
    assert caffe_rng.rng_next_u32() == caffe_rng.Rng(5).next_u32()
    assert transform.place(transform.draw(1)[0], (3, 9, 12)) == Placement(False, 2, 4)


def test_decoding_mode() -> None:
    assert transformer().mode == AS_STORED
    assert transformer(force_color=True).mode == COLOR
    assert transformer(force_gray=True).mode == GRAY
    with pytest.raises(CaffeError, match="cannot set both force_color and force_gray"):
        transformer(force_color=True, force_gray=True)


def test_what_does_not_fit(tmp_path: Path) -> None:
    write_mean(tmp_path / "mean", np.zeros((3, 8, 8), np.float32))
    with pytest.raises(CaffeError, match=r"mean_file: .*mean is of shape \[3, 8, 8\], the image \[3, 9, 11\]"):
        transformer(mean_file=str(tmp_path / "mean")).shape(SHAPE)
    with pytest.raises(CaffeError, match=r"crop_size: 10 is larger than the image of shape \[3, 9, 11\]"):
        transformer(crop_size=10).shape(SHAPE)
    with pytest.raises(CaffeError, match="mean_value: 2 values; expected 1 or 3"):
        transformer(mean_value=[1, 2]).shape(SHAPE)
    with pytest.raises(CaffeError, match="Cannot specify mean_file and mean_value at the same time"):
        transformer(mean_file=str(tmp_path / "mean"), mean_value=[1])
    with pytest.raises(CaffeError, match="no_mean"):
        transformer(mean_file=str(tmp_path / "no_mean"))
