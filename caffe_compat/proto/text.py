"""Protobuf text (prototxt) to messages and back.

The grammar is C++ protobuf's, which is narrower than Python protobuf's here and wider there (``- 1``, ``1.f``): a file
is accepted if and only if real Caffe accepts it. Errors say where, and what was probably meant.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from caffe_compat.errors import CaffeError
from caffe_compat.proto.text_writer import format, is_repeated
from caffe_compat.proto.tokens import (
    END,
    FLOAT,
    IDENTIFIER,
    INTEGER,
    STRING,
    Token,
    describe,
    layer_lines,
    position,
    tokenize,
    unquote,
)

__all__ = ["MAX_DEPTH", "MAX_TEXT", "format", "is_repeated", "layer_lines", "parse", "read", "read_text"]

MAX_TEXT = 64 << 20  # characters or bytes; the largest prototxts in the wild have a few hundred KiB
MAX_DEPTH = 100  # messages within messages; Caffe's schema never needs more than about ten

M = TypeVar("M", bound=Message)

TRUE, FALSE = ("true", "True", "t"), ("false", "False", "f")
INTEGER_BITS = {
    FieldDescriptor.CPPTYPE_INT32: 31,
    FieldDescriptor.CPPTYPE_INT64: 63,
    FieldDescriptor.CPPTYPE_UINT32: 32,
    FieldDescriptor.CPPTYPE_UINT64: 64,
}


def parse(text: str, message_class: type[M], source: str = "<string>") -> M:
    """The message that ``text`` describes; CaffeError ``source:line:column: what is wrong`` if it describes none."""
    if len(text) > MAX_TEXT:
        raise CaffeError(f"{source}: {len(text)} characters of text; at most {MAX_TEXT} are read")
    message = message_class()
    parser = _Parser(text, source)
    parser.read_fields(message, END)
    if missing := message.FindInitializationErrors():
        raise CaffeError(f"{source}: missing required field {missing[0]}")
    return message


def read(path: str | Path, message_class: type[M]) -> M:
    """The message in the text file ``path``; CaffeError if it cannot be read or is wrong."""
    return parse(read_text(path), message_class, str(path))


def read_text(path: str | Path) -> str:
    """The characters of a prototxt. Bytes that are not UTF-8 survive in comments, as in Caffe, and fail in strings."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_TEXT + 1)
    except OSError as error:
        raise CaffeError(f"{path}: cannot read it: {error.strerror}") from None
    if len(data) > MAX_TEXT:
        raise CaffeError(f"{path}: more than {MAX_TEXT} bytes of text")
    return data.decode("utf-8", "surrogateescape")


class _Parser:
    """A recursive descent over one text. ``token`` is the next token, not yet consumed.

    ``open``: the messages around it, each as the token of its name and the message that it is a field of.
    """

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.tokens = tokenize(text)
        self.token = next(self.tokens)
        self.open: list[tuple[Token, Descriptor]] = []

    def fail(self, message: str, at: Token | None = None) -> NoReturn:
        line, column = position(self.text, (at or self.token).offset)
        raise CaffeError(f"{self.source}:{line}:{column}: {message}")

    def take(self) -> Token:
        token = self.token
        if token.kind != END:
            self.token = next(self.tokens)
        return token

    def take_if(self, symbol: str) -> bool:
        if self.token.text != symbol:  # a string token has its quotes, so this can only be a symbol
            return False
        self.take()
        return True

    def expect(self, symbol: str, after: str) -> None:
        if not self.take_if(symbol):
            self.fail(f'expected "{symbol}" after {after}, not {describe(self.token, self.text)}')

    def read_fields(self, message: Message, closing: str) -> None:
        """Fill ``message`` up to the closing symbol, or up to the end of the text."""
        name = message.DESCRIPTOR.name
        fields = _fields(message.DESCRIPTOR)
        while not (self.token.kind == END if closing == END else self.take_if(closing)):
            if self.token.kind != IDENTIFIER:
                expected = "a field name" if closing == END else f'a field name or "{closing}"'
                hint = self.still_open() if self.token.kind == END else ""
                self.fail(f"{name}: expected {expected}, not {describe(self.token, self.text)}{hint}")
            token = self.take()
            if token.text not in fields:
                self.fail(f'{name} has no field "{token.text}"{self.hint(token.text, message.DESCRIPTOR)}', token)
            self.read_field(message, *fields[token.text], token)
            if not self.take_if(";"):
                self.take_if(",")

    def still_open(self) -> str:
        """Where the innermost message begins, for an error that a missing brace explains."""
        name, _ = self.open[-1]
        return f'; "{name.text}" of line {position(self.text, name.offset)[0]} is still open'

    def hint(self, name: str, message: Descriptor) -> str:
        """Where an unknown field would be known: further out, in the other kind of file, further in, or nearly so."""
        if any(name in _fields(outer) for _, outer in self.open):
            return f'{self.still_open()}: is a "}}" missing?'
        kinds = message.file.message_types_by_name
        if message.name == "SolverParameter" and name in _fields(kinds["NetParameter"]):
            return "; is this a net definition?"
        inner = [field for field, _ in _fields(message).values() if field.message_type is not None]
        if places := [field.name for field in inner if name in _fields(field.message_type)]:
            return f"; it belongs in {_some(places, 4)}"
        if message.name == "NetParameter" and name in _fields(kinds["SolverParameter"]):
            return "; is this a solver definition?"
        return _nearest(name, _fields(message))

    def read_field(self, message: Message, field: FieldDescriptor, repeated: bool, name: Token) -> None:
        if not repeated and message.HasField(field.name):
            self.fail(f"{_label(field)} is given twice", name)
        read_one: Callable[[], None]
        if field.message_type is not None:
            self.take_if(":")
            read_one = functools.partial(self.read_submessage, message, field, repeated, name)
        else:
            self.expect(":", f'"{field.name}"')
            read_one = functools.partial(self.read_scalar, message, field, repeated)
        if not (repeated and self.take_if("[")):
            read_one()
        elif not self.take_if("]"):
            read_one()
            while not self.take_if("]"):
                self.expect(",", f'a value of "{field.name}"')
                read_one()

    def read_submessage(self, message: Message, field: FieldDescriptor, repeated: bool, name: Token) -> None:
        closing = ">" if self.token.text == "<" else "}"
        if closing == "}" and self.token.text != "{":
            self.fail(f'expected "{{" after "{field.name}", not {describe(self.token, self.text)}')
        if len(self.open) >= MAX_DEPTH:
            self.fail(f"messages are nested more than {MAX_DEPTH} deep")
        self.take()
        inner = getattr(message, field.name)
        if repeated:
            inner = inner.add()
        else:
            inner.SetInParent()  # it may be empty, as a V1 layer may: its presence counts
        self.open.append((name, message.DESCRIPTOR))
        self.read_fields(inner, closing)
        self.open.pop()

    def read_scalar(self, message: Message, field: FieldDescriptor, repeated: bool) -> None:
        value = self.read_value(field)
        if repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    def read_value(self, field: FieldDescriptor) -> Any:
        kind = field.cpp_type
        if kind == FieldDescriptor.CPPTYPE_STRING:
            return self.read_string(field)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return self.read_bool(field)
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return self.read_enum(field)
        if kind in INTEGER_BITS:
            signed = kind in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
            return self.read_integer(field, INTEGER_BITS[kind], signed)
        return self.read_number(field)

    def wrong(self, field: FieldDescriptor, expected: str, hint: str = "") -> NoReturn:
        self.fail(f"{_label(field)} takes {expected}, not {describe(self.token, self.text)}{hint}")

    def read_string(self, field: FieldDescriptor) -> str | bytes:
        start = self.token
        if start.kind != STRING:
            self.wrong(field, "a quoted string")
        value = b""
        while self.token.kind == STRING:  # neighbours join, as in C
            try:
                value += unquote(self.token.text)
            except ValueError as error:
                self.fail(str(error))
            self.take()
        if field.type == FieldDescriptor.TYPE_BYTES:
            return value
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            self.fail(f"{_label(field)}: the string is not UTF-8", start)

    def read_bool(self, field: FieldDescriptor) -> bool:
        if self.token.kind == INTEGER:
            return self.read_integer(field, 1, signed=False) == 1
        if self.token.text not in TRUE + FALSE:
            self.wrong(field, "true or false")
        return self.take().text in TRUE

    def read_enum(self, field: FieldDescriptor) -> int:
        enum, start = field.enum_type, self.token
        if start.kind == IDENTIFIER:
            if start.text not in enum.values_by_name:
                hint = _nearest(start.text, enum.values_by_name)
                self.wrong(field, f"one of {_some(enum.values_by_name)}", hint)
            return int(enum.values_by_name[self.take().text].number)
        if start.kind != INTEGER and start.text != "-":
            self.wrong(field, f"one of {_some(enum.values_by_name)}")
        number = self.read_integer(field, 31, signed=True)
        if number not in enum.values_by_number:
            self.fail(f"{_label(field)} takes one of {_some(enum.values_by_name)}, not number {number}", start)
        return number

    def read_integer(self, field: FieldDescriptor, bits: int, signed: bool) -> int:
        """An integer of at most ``bits`` bits besides its sign, in base 10, 16 (0x) or 8 (0)."""
        start = self.token
        negative = signed and self.take_if("-")
        if self.token.kind != INTEGER:
            self.wrong(field, "an integer" if signed else "an integer that is not negative")
        text = self.take().text
        value = int(text, 16) if text[:2] in ("0x", "0X") else int(text, 8 if text[0] == "0" else 10)
        if value > (1 << bits) - (0 if negative else 1):
            self.fail(f"{_label(field)}: {'-' if negative else ''}{text} is out of range", start)
        return -value if negative else value

    def read_number(self, field: FieldDescriptor) -> float:
        """A float; C++ knows no hexadecimal or octal ones, and spells infinity and nan in any case."""
        sign = -1.0 if self.take_if("-") else 1.0
        token = self.token
        decimal = token.kind == INTEGER and (token.text == "0" or token.text[0] != "0")
        special = token.kind == IDENTIFIER and token.text.lower() in ("inf", "infinity", "nan")
        if not (decimal or special or token.kind == FLOAT):
            self.wrong(field, "a number")
        text = self.take().text
        return sign * float(text.rstrip("fF") if token.kind == FLOAT else text)


@functools.cache
def _fields(descriptor: Descriptor) -> dict[str, tuple[FieldDescriptor, bool]]:
    """The fields of a message by name, each with whether it is repeated."""
    return {field.name: (field, is_repeated(field)) for field in descriptor.fields}


def _label(field: FieldDescriptor) -> str:
    return f"{field.containing_type.name}.{field.name}"


def _nearest(name: str, names: Iterable[str]) -> str:
    by_lower = {known.lower(): known for known in names}
    nearest = difflib.get_close_matches(name.lower(), by_lower, 1, 0.6)
    return f'; the nearest is "{by_lower[nearest[0]]}"' if nearest else ""


def _some(names: Iterable[str], limit: int = 8) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")
