"""The same messages with blob values as raw bytes: reading 240 MB of weights then copies them once.

On the wire a packed list of floats is what a ``bytes`` field is: a length and that many bytes. So a schema that calls
``BlobProto.data`` bytes reads and writes the same files, without a Python object for each of 60 million numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
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
            field.type, field.label = FieldDescriptorProto.TYPE_BYTES, FieldDescriptorProto.LABEL_OPTIONAL
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
    """Values (or gradients) of a raw BlobProto as float32, in its shape.

    Raises:
        ValueError: the number of values is not that of the shape.
    """
    name = "diff" if diff else "data"
    name = f"double_{name}" if getattr(blob, f"double_{name}") else name
    shape, content = shape_of(blob), getattr(blob, name)
    count = int(np.prod(shape, dtype=np.int64))
    if len(content) != count * DTYPES[name].itemsize:
        raise ValueError(f"{len(content) // DTYPES[name].itemsize} values for shape {list(shape)}")
    return np.frombuffer(content, DTYPES[name]).astype(np.float32, copy=False).reshape(shape)


def from_array(blob: Any, data: np.ndarray, diff: np.ndarray | None = None) -> None:
    """Fill a raw BlobProto as Caffe's ``Blob::ToProto`` does."""
    blob.shape.dim.extend(data.shape)
    blob.data = np.ascontiguousarray(data, "<f4").tobytes()
    if diff is not None:
        blob.diff = np.ascontiguousarray(diff, "<f4").tobytes()
