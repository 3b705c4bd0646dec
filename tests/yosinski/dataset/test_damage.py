"""What files tell of themselves."""

from __future__ import annotations

import numpy as np
import pytest

from yosinski.dataset.damage import defect, jpeg_components

PICTURE = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


def encoded(kind: str, *flags: int) -> bytes:
    import cv2

    return bytes(cv2.imencode(kind, PICTURE, flags)[1].tobytes())


def cmyk() -> bytes:
    from io import BytesIO

    image = pytest.importorskip("PIL.Image")
    content = BytesIO()
    image.fromarray(PICTURE).convert("CMYK").save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg(progressive: int) -> None:
    import cv2

    content = encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    assert defect(content) is None and jpeg_components(content) == 3
    assert defect(content + b"trailing \xff\xd8 bytes") is None
    for size in (3, 100, len(content) // 2, len(content) - 1):
        assert defect(content[:size]) == "truncated"


def test_jpeg_with_a_thumbnail_inside() -> None:
    """Its end is none of the picture's."""
    inner = encoded(".jpg")
    segment = b"\xff\xe1" + (2 + len(inner)).to_bytes(2, "big") + inner
    content = inner[:2] + segment + inner[2:]
    assert defect(content) is None and jpeg_components(content) == 3
    assert defect(content[: -len(inner) // 3]) == "truncated"


def test_cmyk() -> None:
    assert defect(cmyk()) == "CMYK"
    assert defect(cmyk()[:-9]) == "truncated"


def test_png_and_others() -> None:
    assert defect(encoded(".png")) is None
    assert defect(encoded(".png")[:-13]) == "truncated"
    assert defect(encoded(".bmp")[:-13]) is None
    assert defect(b"") is None and jpeg_components(b"\xff\xd8no marker") == 0
