"""Protobuf's binary form in files: ``.caffemodel``, ``.solverstate``, ``.binaryproto``."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError, EncodeError, Message

from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError

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
    try:
        message = message_class.FromString(data)
    except DecodeError:
        raise CaffeError(f"{path}: not a {name} in binary form, or a damaged one ({len(data)} bytes)") from None
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
