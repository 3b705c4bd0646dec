"""Pictures against OpenCV's own decoder, to the bit."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from caffe_compat.data import picture
from caffe_compat.data.picture import AS_STORED, COLOR, GRAY, decode

SAMPLINGS = [0x411111, 0x221111, 0x211111, 0x121111, 0x111111]
modes = st.sampled_from([AS_STORED, COLOR, GRAY])


def opencv(content: bytes, mode: int) -> NDArray | None:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    if image is None:
        return None
    return image[None] if image.ndim == 2 else image.transpose(2, 0, 1)


def smooth(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    colours = np.random.default_rng(height * width).integers(0, 256, (3, 4, channels), np.uint8)
    return cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)


def jpeg(image: NDArray, mode: str = "RGB", **options: object) -> bytes:
    """By another library than OpenCV's encoder, which writes no Exif, CMYK or RGB."""
    file = io.BytesIO()
    Image.fromarray(image).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


@st.composite
def jpegs(draw: st.DrawFn) -> bytes:
    """Of all kinds that OpenCV writes."""
    side = st.integers(1, 70)
    options = {
        cv2.IMWRITE_JPEG_QUALITY: draw(st.integers(1, 100)),
        cv2.IMWRITE_JPEG_PROGRESSIVE: draw(st.integers(0, 1)),
        cv2.IMWRITE_JPEG_OPTIMIZE: draw(st.integers(0, 1)),
        cv2.IMWRITE_JPEG_RST_INTERVAL: draw(st.integers(0, 4)),
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: draw(st.sampled_from(SAMPLINGS)),
    }
    image = smooth(draw(side), draw(side), draw(st.sampled_from([1, 3])))
    return cv2.imencode(".jpg", image, [number for pair in options.items() for number in pair])[1].tobytes()


@settings(max_examples=400, deadline=None)
@given(jpegs(), modes)
def test_jpegs(content: bytes, mode: int) -> None:
    np.testing.assert_array_equal(decode(memoryview(content), mode), opencv(content, mode))


@settings(max_examples=400, deadline=None)
@given(jpegs(), modes, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=3), st.floats(0.2, 1))
@example(b"\xff\xd8", AS_STORED, [], 1.0)
@example(b"", AS_STORED, [], 1.0)
def test_damaged_jpegs(content: bytes, mode: int, hits: list[tuple[float, int]], part: float) -> None:
    damaged = bytearray(content[: int(part * len(content))])
    for place, value in hits if damaged else []:
        damaged[int(place * (len(damaged) - 1))] = value
    try:
        expected = opencv(bytes(damaged), mode) if damaged else None
    except cv2.error:
        expected = None
    got = decode(bytes(damaged), mode)
    assert (got is None) == (expected is None)
    if got is not None and expected is not None:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("mode", [AS_STORED, COLOR, GRAY])
def test_jpegs_that_opencv_turns_or_converts(mode: int) -> None:
    image = smooth(9, 14, 3)
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: by a quarter
    for content in (jpeg(image, exif=turned.tobytes()), jpeg(image, "CMYK"), jpeg(image, keep_rgb=True)):
        np.testing.assert_array_equal(decode(content, mode), opencv(content, mode))
    assert decode(jpeg(image, exif=turned.tobytes()), mode).shape[1:] == ((9, 14) if mode == AS_STORED else (14, 9))


def test_ordinary_jpegs_are_not_left_to_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    image = smooth(9, 14, 3)
    monkeypatch.setattr(cv2, "imdecode", None)
    assert decode(jpeg(image), AS_STORED).shape == (3, 9, 14)
    assert decode(jpeg(image, "L"), AS_STORED).shape == (1, 9, 14)
    assert decode(jpeg(image, progressive=True), GRAY).shape == (1, 9, 14)


def test_more_pixels_than_opencv_decodes() -> None:
    content = bytearray(jpeg(smooth(8, 8, 3)))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = b"\xff\x00\xff\x00"  # 65,280 x 65,280
    assert picture._decode_jpeg(bytes(content), COLOR) is None
    assert decode(bytes(content), COLOR) is None
