"""Pictures as files hold them: decoded and resized as OpenCV does it for Caffe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Buffer = bytes | memoryview

JPEG, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"  # the first and the last two bytes of such a file

MOST_PIXELS = 1 << 30  # of a picture that OpenCV decodes

# What cv::imdecode is asked for: the file's own channels, three (BGR), or one.
AS_STORED, COLOR, GRAY = -1, 1, 0


def decode(data: Buffer, mode: int) -> NDArray | None:
    """Pixels (channels, height, width), channels in the order BGR(A), of a picture file; None if it is none."""
    picture = _decode_jpeg(data, mode)
    if picture is None:
        picture = _decode_any(data, mode)
    if picture is None:
        return None
    return picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)


def _decode_any(data: Buffer, mode: int) -> NDArray | None:
    import cv2

    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), mode) if len(data) else None
    except cv2.error:  # a header that asks for more than MOST_PIXELS
        return None


def _decode_jpeg(data: Buffer, mode: int) -> NDArray[np.uint8] | None:
    """What ``cv2.imdecode`` gives for an ordinary JPEG, from the library that it asks, too, but a sixth sooner.

    None for all that OpenCV has a say in: it turns pictures as the camera was held, converts the colours of print, and
    decides which damage to live with.
    """
    if data[:2] != JPEG or (mode != AS_STORED and b"Exif" in bytes(data)):
        return None
    import simplejpeg

    try:
        height, width, stored, _ = simplejpeg.decode_jpeg_header(data)
        if stored not in ("Gray", "YCbCr") or height * width > MOST_PIXELS:
            return None
        grey = mode == GRAY or (mode == AS_STORED and stored == "Gray")
        picture: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "GRAY" if grey else "BGR")
    except (ValueError, KeyError):  # damage, down to a mere warning; or a sampling of colours that it has no name for
        return None
    return picture[:, :, 0] if grey else picture


def read_picture(content: bytes, mode: int) -> NDArray | None:
    """Pixels of a picture file as ``cv::imread`` gives them, of shape and mode as for ``decode``; None if it is none.

    Of a truncated JPEG Caffe takes what is there: reading from a file, though not from memory as ``decode`` does, the
    JPEG library adds the missing end marker.
    """
    pixels = decode(content, mode)
    if pixels is None and content.startswith(JPEG):
        pixels = decode(content + END_OF_IMAGE, mode)
    return pixels


def resize(image: NDArray, height: int, width: int) -> NDArray:
    """An image (channels, height, width) of uint8 in another size, interpolated by OpenCV as Caffe has it done."""
    import cv2

    resized = cv2.resize(image.transpose(1, 2, 0), (width, height))
    return resized.reshape(height, width, -1).transpose(2, 0, 1)  # cv2 drops the last axis of a grey picture
