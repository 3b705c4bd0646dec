"""Binary files: whole or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caffe_compat.errors import CaffeError
from caffe_compat.proto import binary, caffe_pb2, raw_blobs, upgrade_net


def test_there_and_back(tmp_path: Path) -> None:
    net = caffe_pb2.NetParameter(name="net", layer=[{"name": "a", "blobs": [{"data": [1, 2], "shape": {"dim": [2]}}]}])
    path = tmp_path / "net.caffemodel"
    binary.write(path, net)
    assert binary.read(path, caffe_pb2.NetParameter) == net
    assert [file.name for file in tmp_path.iterdir()] == ["net.caffemodel"]
    raw = binary.read(path, raw_blobs.message_class("NetParameter"))
    assert raw_blobs.to_array(raw.layer[0].blobs[0]).tolist() == [1, 2]


# Two ways to write the values 0 to 5 into field 5 of a blob: lists of them (wire type 2), or one by one (type 5).
VALUES = np.arange(6, dtype="<f4")
PIECES = b"".join(b"\x2a\x0c" + VALUES[i : i + 3].tobytes() for i in (0, 3))
ONE_BY_ONE = b"".join(b"\x2d" + value.tobytes() for value in VALUES)


@pytest.mark.parametrize("data", [PIECES, ONE_BY_ONE, PIECES[:14] + ONE_BY_ONE[15:]], ids=["pieces", "single", "both"])
def test_lists_in_every_form_that_protobuf_reads(data: bytes) -> None:
    blob = b"\x3a\x04\x0a\x02\x02\x03" + data  # shape (2, 3)
    assert caffe_pb2.BlobProto.FromString(blob).data == [0, 1, 2, 3, 4, 5]
    raw = raw_blobs.message_class("BlobProto").FromString(blob)
    assert raw_blobs.to_array(raw).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match=r"6 values for shape \[2, 4\]"):
        raw_blobs.to_array(type(raw).FromString(blob.replace(b"\x02\x03", b"\x02\x04")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; expected a NetParameter"),
        (b"\x0a\xff\xff", "not a NetParameter in binary form, or a damaged one"),
        (b"name: 'x'", "not a NetParameter"),
        (b"\x0a\x01\xff", "or a damaged one"),
        (b"\x0a\x01x\x1a\x01\xff", "or a damaged one"),
        (b"\xa2\x06\x03\x0a\x01\xff", "or a damaged one"),
        (b"\xf8\x3f\x01", "without a known field"),
        (b"\xa2\x06\x03\xa2\x09\x00", "missing required field layer.*clip_param.min"),
    ],
)
def test_what_is_no_message_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.caffemodel"
    path.write_bytes(content)
    with pytest.raises(CaffeError, match=f"^{path}: .*{message}"):
        binary.read(path, caffe_pb2.NetParameter)


def test_unreadable_and_unwritable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match=f"^{tmp_path}/no: cannot read it"):
        binary.read(tmp_path / "no", caffe_pb2.BlobProto)
    (tmp_path / "file").write_text("")
    with pytest.raises(CaffeError, match="cannot write"):
        binary.write(tmp_path / "file" / "below", caffe_pb2.BlobProto(num=1))


def test_an_incomplete_message_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(b"before")
    with pytest.raises(CaffeError, match="required"):
        binary.write(path, caffe_pb2.NetParameter(layer=[{"clip_param": {"min": 1}}]))
    assert path.read_bytes() == b"before"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_raise_nothing_but_caffe_error(golden: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray((golden / "upgrade/binary/v1.caffemodel").read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.caffemodel"
    path.write_bytes(content)
    try:
        net = binary.read(path, caffe_pb2.NetParameter)
        assert str(net) and upgrade_net(net, str(path)) in (True, False)
    except CaffeError as error:
        assert str(error).startswith(f"{path}: ")
