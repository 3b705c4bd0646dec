"""Protobuf's binary form in files: ``.caffemodel``, ``.solverstate``, ``.binaryproto``."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError, EncodeError, Message

from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError
from caffe_compat.proto.text import is_repeated

M = TypeVar("M", bound=Message)


def read(path: str | Path, message_class: type[M]) -> M:
    """The message in the file ``path``; CaffeError if the file is missing, empty, cut off or something else."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CaffeError(f"{path}: cannot read it: {error.strerror}") from None
    name = message_class.DESCRIPTOR.name
    if not data:
        raise CaffeError(f"{path}: the file is empty; expected a {name}")
    message: M | None
    try:
        message = message_class.FromString(data)
    except (DecodeError, UnicodeDecodeError):
        message = None
    if message is None or not _strings_are_text(message):
        raise CaffeError(f"{path}: not a {name} in binary form, or a damaged one ({len(data)} bytes)")
    if not message.ListFields():  # other data may pass as fields that nobody knows
        raise CaffeError(f"{path}: not a {name} in binary form ({len(data)} bytes without a known field)")
    if missing := message.FindInitializationErrors():
        raise CaffeError(f"{path}: missing required field {missing[0]}")
    return message


def write(path: str | Path, message: Message) -> None:
    """Write ``message`` to ``path``, whole or not at all."""
    try:
        data = message.SerializeToString()
    except EncodeError as error:
        raise CaffeError(f"{path}: cannot write it: {error}") from None
    with writing(path) as temporary:
        temporary.write_bytes(data)


def _strings_are_text(message: Message) -> bool:
    """Whether all strings are UTF-8. Protobuf does not check, and hands out the others as bytes."""
    if message.DESCRIPTOR.name == "BlobProto":
        return True  # has no strings, and may be large
    for field, content in message.ListFields():
        values = content if is_repeated(field) else [content]
        if field.message_type is not None and not all(map(_strings_are_text, values)):
            return False
        if field.type == field.TYPE_STRING and not all(isinstance(value, str) for value in values):
            return False
    return True
