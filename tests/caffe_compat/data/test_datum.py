"""Datum records: the zero-copy reader against protobuf's own, and what images they hold."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe_compat.data.datum import parse, serialize, serialize_raw
from caffe_compat.data.picture import AS_STORED, COLOR, GRAY
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2

int32 = st.integers(-(2**31), 2**31 - 1)
messages = st.builds(
    caffe_pb2.Datum,
    channels=st.none() | int32,
    height=st.none() | int32,
    width=st.none() | int32,
    data=st.none() | st.binary(max_size=300),
    label=st.none() | int32,
    encoded=st.none() | st.booleans(),
    float_data=st.lists(st.floats(width=32, allow_nan=False), max_size=4),
)
FIELDS = ("channels", "height", "width", "label", "encoded")


def assert_same(record: bytes, message: caffe_pb2.Datum) -> None:
    datum = parse(memoryview(record))
    assert [getattr(datum, name) for name in FIELDS] == [getattr(message, name) for name in FIELDS]
    assert bytes(datum.data) == message.data
    assert datum.float_data.tolist() == list(message.float_data)


@given(messages)
def test_parse_agrees_with_protobuf(message: caffe_pb2.Datum) -> None:
    assert_same(serialize(message), message)


@given(st.binary(max_size=60))
def test_parse_of_any_bytes_agrees_with_protobuf(record: bytes) -> None:
    try:
        message = caffe_pb2.Datum.FromString(record)
    except Exception:
        with pytest.raises(CaffeError, match="not a Datum"):
            parse(record)
    else:
        assert_same(record, message)


@given(messages, messages)
def test_later_fields_win(first: caffe_pb2.Datum, second: caffe_pb2.Datum) -> None:
    record = serialize(first) + serialize(second)
    assert_same(record, caffe_pb2.Datum.FromString(record))


def test_pixels_are_not_copied() -> None:
    record = bytearray(serialize(caffe_pb2.Datum(channels=1, height=1, width=2, data=b"ab", label=3, encoded=False)))
    image = parse(memoryview(record)).image()
    record[record.index(b"ab")] = 200
    assert image.tolist() == [[[200, ord("b")]]]


def test_floats_only_without_bytes() -> None:
    floats = caffe_pb2.Datum(channels=1, height=1, width=2, float_data=[0.5, -1e30])
    assert parse(serialize(floats)).image().dtype == np.float32
    assert parse(serialize(floats)).image().tolist() == [[[0.5, float(np.float32(-1e30))]]]
    floats.data = b"\x01\x02"
    assert parse(serialize(floats)).image().tolist() == [[[1, 2]]]


def test_encoded_channels(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (5, 7, 4), dtype=np.uint8)

    def image(values: np.ndarray, mode: int) -> np.ndarray:
        data = cv2.imencode(".png", values)[1].tobytes()
        return parse(serialize(caffe_pb2.Datum(data=data, encoded=True))).image(mode)

    np.testing.assert_array_equal(image(picture, AS_STORED), picture.transpose(2, 0, 1))
    np.testing.assert_array_equal(image(picture, COLOR), picture.transpose(2, 0, 1)[:3])
    np.testing.assert_array_equal(image(picture[:, :, 0], AS_STORED), picture[None, :, :, 0])
    np.testing.assert_array_equal(image(picture[:, :, 0], COLOR), np.stack([picture[:, :, 0]] * 3))
    assert image(picture, GRAY).shape == (1, 5, 7)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (caffe_pb2.Datum(channels=3, height=2, width=2, data=b"12345"), "5 values do not make an image of 3 x 2 x 2"),
        (caffe_pb2.Datum(channels=0, height=2, width=2), "0 values do not make an image of 0 x 2 x 2"),
        (caffe_pb2.Datum(channels=-1, height=-1, width=1, data=b"1"), "1 values do not make an image of -1 x -1 x 1"),
        (caffe_pb2.Datum(encoded=True), "cannot decode the 0 bytes"),
        (caffe_pb2.Datum(encoded=True, data=b"no picture"), "cannot decode the 10 bytes"),
        (
            caffe_pb2.Datum(encoded=True, data=cv2.imencode(".png", np.zeros((2, 2), np.uint16))[1].tobytes()),
            "16 bits a channel; expected 8",
        ),
    ],
)
def test_no_image(message: caffe_pb2.Datum, reason: str) -> None:
    with pytest.raises(CaffeError, match=reason):
        parse(serialize(message)).image()


@pytest.mark.parametrize("shape", [(3, 9, 11), (1, 4, 4), (2, 300, 200)])
@pytest.mark.parametrize("label", [0, 999, -1])
def test_raw_records_are_what_protobuf_makes_of_them(shape: tuple[int, int, int], label: int) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    channels, height, width = shape
    want = caffe_pb2.Datum(channels=channels, height=height, width=width, data=pixels.tobytes(), label=label)
    want.encoded = False
    decoded = np.ascontiguousarray(pixels.transpose(1, 2, 0)).transpose(2, 0, 1)
    assert bytes(serialize_raw(pixels, label)) == bytes(serialize_raw(decoded, label)) == serialize(want)
