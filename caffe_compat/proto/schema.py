"""A reader of ``.proto`` files, so that ``caffe.proto`` needs neither ``protoc`` nor a checked-in generated module.

It knows the part of proto2 that Caffe's schema uses: messages and enums (nested at will), fields with a label, and the
options ``default`` and ``packed``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

TOKEN = re.compile(r"""//[^\n]*|\s+|("[^"\n]*"|'[^'\n]*'|[-+.\w]+|[{}\[\];=,])""")

SCALARS = {
    name: getattr(FieldDescriptorProto, f"TYPE_{name.upper()}")
    for name in ("double", "float", "int32", "int64", "uint32", "uint64", "bool", "string", "bytes")
}
LABELS = {name: getattr(FieldDescriptorProto, f"LABEL_{name.upper()}") for name in ("optional", "required", "repeated")}


def parse_proto(text: str, name: str) -> FileDescriptorProto:
    """What ``protoc`` makes of ``text``, the contents of the file ``name``; ValueError if it is not as expected."""
    file = FileDescriptorProto(name=name)
    tokens = _tokens(text)
    for token in tokens:
        if token == "syntax":
            _expect(tokens, "=", '"proto2"', ";")
        elif token == "package":
            file.package = next(tokens)
            _expect(tokens, ";")
        elif token == "message":
            _read_message(tokens, file.message_type.add())
        elif token == "enum":
            _read_enum(tokens, file.enum_type.add())
        else:
            raise ValueError(f"{name}: unexpected {token!r}")
    _resolve(file)
    return file


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"line {text.count(chr(10), 0, position) + 1}: unexpected {text[position]!r}")
        if match[1]:
            yield match[1]
        position = match.end()


def _expect(tokens: Iterator[str], *expected: str) -> None:
    for want in expected:
        if (token := next(tokens, "end of file")) != want:
            raise ValueError(f"expected {want!r}, not {token!r}")


def _read_message(tokens: Iterator[str], message: DescriptorProto) -> None:
    message.name = next(tokens)
    _expect(tokens, "{")
    while (token := next(tokens)) != "}":
        if token == "message":
            _read_message(tokens, message.nested_type.add())
        elif token == "enum":
            _read_enum(tokens, message.enum_type.add())
        else:
            _read_field(tokens, token, message.field.add())


def _read_enum(tokens: Iterator[str], enum: EnumDescriptorProto) -> None:
    enum.name = next(tokens)
    _expect(tokens, "{")
    while (token := next(tokens)) != "}":
        _expect(tokens, "=")
        enum.value.add(name=token, number=int(next(tokens)))
        _expect(tokens, ";")


def _read_field(tokens: Iterator[str], label: str, field: FieldDescriptorProto) -> None:
    field.label = LABELS[label]
    type_name = next(tokens)
    if type_name in SCALARS:
        field.type = SCALARS[type_name]
    else:
        field.type_name = type_name
    field.name = next(tokens)
    _expect(tokens, "=")
    field.number = int(next(tokens))
    while (token := next(tokens)) != ";":
        if token in "[,":
            option = next(tokens)
            _expect(tokens, "=")
            _set_option(field, option, next(tokens))
        elif token != "]":
            raise ValueError(f"{field.name}: unexpected {token!r}")


def _set_option(field: FieldDescriptorProto, option: str, value: str) -> None:
    if option == "packed":
        field.options.packed = value == "true"
    elif option != "default":
        raise ValueError(f"{field.name}: unknown option {option!r}")
    elif not field.type_name and field.type in (SCALARS["float"], SCALARS["double"]):
        field.default_value = f"{float(value):.15g}"  # the one spelling that protoc gives to a number
    else:
        field.default_value = value.strip("\"'")


def _resolve(file: FileDescriptorProto) -> None:
    """Turn the type names of fields into full ones, looked up from the innermost message outwards as protobuf does."""
    kinds: dict[str, int] = {}

    def declare(scope: str, node: FileDescriptorProto | DescriptorProto) -> None:
        for enum in node.enum_type:
            kinds[f"{scope}.{enum.name}"] = FieldDescriptorProto.TYPE_ENUM
        for message in node.message_type if isinstance(node, FileDescriptorProto) else node.nested_type:
            kinds[f"{scope}.{message.name}"] = FieldDescriptorProto.TYPE_MESSAGE
            declare(f"{scope}.{message.name}", message)

    def link(scope: str, message: DescriptorProto) -> None:
        scope = f"{scope}.{message.name}"
        for field in message.field:
            if field.type_name:
                field.type_name = find(scope, field.type_name)
                field.type = kinds[field.type_name]  # type: ignore[assignment]
        for nested in message.nested_type:
            link(scope, nested)

    def find(scope: str, name: str) -> str:
        while scope:
            if (full_name := f"{scope}.{name}") in kinds:
                return full_name
            scope = scope.rpartition(".")[0]
        raise ValueError(f"{file.name}: no message or enum is called {name!r}")

    root = f".{file.package}"
    declare(root, file)
    for message in file.message_type:
        link(root, message)
