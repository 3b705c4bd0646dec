"""Datum: one labelled image of a database, as pixels, as floats, or as an encoded picture file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from caffe_compat.data.picture import AS_STORED, Buffer, decode
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2


class Relabelled(NamedTuple):
    """A record that goes by another label than the one inside it."""

    record: Buffer
    label: int


Record = Buffer | Relabelled

NO_FLOATS = np.empty(0, np.float32)
VARINT, BYTES = 0, 2  # protobuf's wire types
# Wire tags (field number * 8 + wire type) of the scalar fields of Datum, and of its pixels.
SCALARS = {1 << 3: "channels", 2 << 3: "height", 3 << 3: "width", 5 << 3: "label", 7 << 3: "encoded"}
DATA = 4 << 3 | BYTES


@dataclass
class Datum:
    """A parsed record. ``data`` is a view into the record, valid as long as that is (see ``Database.records``)."""

    channels: int = 0
    height: int = 0
    width: int = 0
    label: int = 0
    encoded: bool = False
    data: Buffer = b""
    float_data: NDArray[np.float32] = field(default_factory=lambda: NO_FLOATS)

    def image(self, mode: int = AS_STORED) -> NDArray:
        """Pixels of shape (channels, height, width): uint8, or float32 where the record holds ``float_data``.

        ``mode``: how an encoded datum is decoded; raw ones are what they are. CaffeError if the record holds no such
        image.
        """
        if self.encoded:
            pixels = decode(self.data, mode)
            if pixels is None:
                raise CaffeError(f"cannot decode the {len(self.data)} bytes of its encoded image")
            if pixels.dtype != np.uint8:
                raise CaffeError(f"its encoded image has {8 * pixels.itemsize} bits a channel; expected 8")
            return pixels
        # Caffe takes the floats only where there are no bytes.
        values = np.frombuffer(self.data, np.uint8) if len(self.data) else self.float_data
        shape = (self.channels, self.height, self.width)
        if min(shape) < 1 or values.size != self.channels * self.height * self.width:
            raise CaffeError(f"{values.size} values do not make an image of {' x '.join(map(str, shape))}")
        return values.reshape(shape)


def parse(record: Record) -> Datum:
    """Read a serialised Datum without copying its pixels. CaffeError if it is none."""
    if isinstance(record, Relabelled):
        datum = parse(record.record)
        datum.label = record.label
        return datum
    try:
        return _parse_plain(record)
    except (IndexError, ValueError):
        return _parse_any(record)


def serialize(message: caffe_pb2.Datum) -> bytes:
    """The bytes that Caffe's C++ writes for a ``caffe_pb2.Datum``: fields in the order of their numbers."""
    return message.SerializeToString(deterministic=True)


def serialize_raw(pixels: NDArray[np.uint8], label: int) -> memoryview:
    """What ``serialize`` gives for the raw Datum of an image (channels, height, width), with one copy of the pixels."""
    head, tail = before_pixels(*pixels.shape), serialize(caffe_pb2.Datum(label=label, encoded=False))
    record = np.empty(len(head) + pixels.size + len(tail), np.uint8)
    record[: len(head)] = np.frombuffer(head, np.uint8)
    record[len(head) + pixels.size :] = np.frombuffer(tail, np.uint8)
    copy_image(pixels, record[len(head) : len(head) + pixels.size].reshape(pixels.shape))
    return record.data


@lru_cache
def before_pixels(channels: int, height: int, width: int) -> bytes:
    """The bytes of such a record that come before its pixels; the fields with smaller numbers do."""
    size = channels * height * width
    whole = serialize(caffe_pb2.Datum(channels=channels, height=height, width=width, data=bytes(size)))
    return whole[: len(whole) - size]


def copy_image(image: NDArray, out: NDArray) -> None:
    """Copy an image (channels, height, width) into ``out``, which is contiguous; several times faster than numpy."""
    if len(image) > 1 and image.strides[0] == image.itemsize and image.dtype == out.dtype:
        import cv2

        cv2.split(image.transpose(1, 2, 0), list(out))  # a decoded picture has its channels last in memory
    else:
        np.copyto(out, image)


def copy_images(images: Sequence[NDArray], out: NDArray) -> None:
    """``copy_image`` for each, in one call where rows are contiguous, so that threads need not take turns for each."""
    if all(image.strides[2] == image.itemsize and image.dtype == out.dtype for image in images):
        import cv2

        cv2.vconcat([plane for image in images for plane in image], out.reshape(-1, out.shape[3]))
    else:
        for image, target in zip(images, out):
            copy_image(image, target)


def _parse_plain(record: Buffer) -> Datum:
    """The records that Caffe's tools write: scalars and ``data``. ValueError or IndexError for all others.

    A general parser would copy the pixels, the bulk of the record; here they stay where they are.
    """
    datum = Datum()
    view, position, end = memoryview(record), 0, len(record)
    while position < end:
        tag, value = view[position], view[position + 1]
        position += 2
        if value > 127:
            value, position = _varint(view, position - 1)
        if tag == DATA:
            if position + value > end:
                raise ValueError
            datum.data = view[position : position + value]
            position += value
        else:
            name = SCALARS.get(tag)
            if name is None:
                raise ValueError
            setattr(datum, name, bool(value) if name == "encoded" else (value + 2**31) % 2**32 - 2**31)
    return datum


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    """A base-128 number and the position behind it."""
    value = shift = 0
    while True:
        byte = view[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError


def _parse_any(record: Buffer) -> Datum:
    try:
        message = caffe_pb2.Datum.FromString(bytes(record))
    except DecodeError:
        raise CaffeError(f"its {len(record)} bytes are not a Datum") from None
    floats = np.fromiter(message.float_data, np.float32, len(message.float_data))
    return Datum(message.channels, message.height, message.width, message.label, message.encoded, message.data, floats)
