"""Caffe's messages, as a module that ``protoc`` would have generated: ``caffe_pb2.NetParameter``, ``caffe_pb2.TRAIN``.

They are built from ``caffe.proto`` at import and live in a descriptor pool of their own: in protobuf's common pool they
would clash with the ``caffe.proto`` of pycaffe or of any other converter loaded into the same process.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

from caffe_compat.proto.schema import parse_proto

PROTO_FILE = Path(__file__).with_name("caffe.proto")

_pool = DescriptorPool()
_pool.AddSerializedFile(parse_proto(PROTO_FILE.read_text("utf-8"), "caffe.proto").SerializeToString())
DESCRIPTOR = _pool.FindFileByName("caffe.proto")

for _name, _message in DESCRIPTOR.message_types_by_name.items():
    globals()[_name] = GetMessageClass(_message)
for _name, _enum in DESCRIPTOR.enum_types_by_name.items():
    globals()[_name] = EnumTypeWrapper(_enum)
    globals().update({value.name: value.number for value in _enum.values})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Any message, enum or enum value of the schema."""
