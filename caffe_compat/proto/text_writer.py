"""Messages to protobuf text, character for character as C++ protobuf prints them in Caffe's tools.

Python protobuf's printer differs in what people diff: it writes ``1.0`` where Caffe writes ``1``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

ESCAPES = {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", ord('"'): '\\"', ord("'"): "\\'", ord("\\"): "\\\\"}


def format(message: Message) -> str:
    """Text that Caffe (and ``text.parse``) reads back as ``message``; fields in the order of their numbers."""
    return "".join(f"{line}\n" for line in _lines(message, ""))


def _lines(message: Message, indent: str) -> Iterator[str]:
    for field, content in message.ListFields():
        values = content if is_repeated(field) else [content]
        for value in values:
            if field.message_type is not None:
                yield f"{indent}{field.name} {{"
                yield from _lines(value, indent + "  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{field.name}: {_scalar(field, value)}"


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether the field is a list; protobuf 6 replaced the label by a property."""
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _scalar(field: FieldDescriptor, value: Any) -> str:
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return str(field.enum_type.values_by_number[value].name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _quote(value if isinstance(value, bytes) else value.encode())
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return "true" if value else "false"
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return _number(value, "f", 6, 9)
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return _number(value, "d", 15, 17)
    return str(value)


def _quote(data: bytes) -> str:
    return (
        '"' + "".join(ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in data) + '"'
    )


def _number(value: float, size: str, few: int, many: int) -> str:
    """The few digits that every decimal number survives with, or as many as bring back the very bits."""
    text = f"{value:.{few}g}"
    if not math.isfinite(value) or struct.unpack(size, struct.pack(size, float(text)))[0] == value:
        return text
    return f"{value:.{many}g}"
