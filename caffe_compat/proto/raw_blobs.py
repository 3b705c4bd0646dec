"""The same messages with blob values as raw bytes: reading 240 MB of weights then copies them once.

On the wire a packed list of floats is what a ``bytes`` field is: a length and that many bytes. So a schema that calls
``BlobProto.data`` bytes reads and writes the same files, without a Python object for each of 60 million numbers. Bytes
are repeated, since a list may come in several pieces.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from caffe_compat.proto import caffe_pb2

DTYPES: dict[str, np.dtype[Any]] = {
    "data": np.dtype("<f4"),
    "diff": np.dtype("<f4"),
    "double_data": np.dtype("<f8"),
    "double_diff": np.dtype("<f8"),
}


def _schema() -> FileDescriptorProto:
    schema = FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(schema)
    (blob,) = (message for message in schema.message_type if message.name == "BlobProto")
    for field in blob.field:
        if field.name in DTYPES:
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.options.ClearField("packed")
    return schema


_pool = DescriptorPool()
_pool.AddSerializedFile(_schema().SerializeToString())


def message_class(name: str) -> Any:
    """The class of a message of ``caffe.proto``, its BlobProtos with raw bytes."""
    return GetMessageClass(_pool.FindMessageTypeByName(f"caffe.{name}"))


def shape_of(blob: Any) -> tuple[int, ...]:
    """A BlobProto's shape; blobs of old files have four axes in fields of their own."""
    if is_legacy(blob):
        return blob.num, blob.channels, blob.height, blob.width
    return tuple(blob.shape.dim)


def is_legacy(blob: Any) -> bool:
    """Whether the shape is in the four fields of old files, which pad it with ones in front."""
    return any(blob.HasField(name) for name in ("num", "channels", "height", "width"))


def to_array(blob: Any, diff: bool = False) -> np.ndarray:
    """Values (or gradients) of a raw BlobProto as float32, in its shape, maybe read-only.

    Raises:
        ValueError: the number of values is not that of the shape.
    """
    name = "diff" if diff else "data"
    name = f"double_{name}" if getattr(blob, f"double_{name}") else name
    shape, content = shape_of(blob), b"".join(getattr(blob, name))
    count, size = int(np.prod(shape, dtype=np.int64)), len(content) // DTYPES[name].itemsize
    if len(content) == count * DTYPES[name].itemsize:
        return np.frombuffer(content, DTYPES[name]).astype(np.float32, copy=False).reshape(shape)
    values = _unpacked(blob, name.removeprefix("double_"))
    if len(values) != count:
        raise ValueError(f"{max(size, len(values))} values for shape {list(shape)}")
    return values.reshape(shape)


def _unpacked(blob: Any, name: str) -> np.ndarray:
    """The numbers, float32, where each is a field of its own, which any protobuf reads as well; none if damaged."""
    try:
        plain = caffe_pb2.BlobProto.FromString(blob.SerializeToString())
    except DecodeError:
        return np.empty(0, np.float32)
    return np.array(getattr(plain, f"double_{name}") or getattr(plain, name), np.float32)


def from_array(blob: Any, data: np.ndarray, diff: np.ndarray | None = None) -> None:
    """Fill a raw BlobProto as Caffe's ``Blob::ToProto`` does: one without axes has no ``shape``, not an empty one."""
    if data.ndim:
        blob.shape.dim.extend(data.shape)
    blob.data.append(np.ascontiguousarray(data, "<f4").tobytes())
    if diff is not None:
        blob.diff.append(np.ascontiguousarray(diff, "<f4").tobytes())
