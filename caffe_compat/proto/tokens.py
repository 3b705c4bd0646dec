"""Protobuf text, cut into tokens by the lexical rules of C++ protobuf, which Caffe reads its prototxts with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

IDENTIFIER, FLOAT, INTEGER, STRING, SYMBOL, BAD, END = (
    "identifier",
    "float",
    "integer",
    "string",
    "symbol",
    "bad",
    "end",
)

# A number may not run into a letter, a digit or a second point: 08, 1_000, 1.2.3 and 5kg are no tokens.
PATTERN = re.compile(
    r"""
      [ \t\r\n\v\f]+ | \#[^\n\0]*
    | (?P<identifier> [A-Za-z_]\w* )
    | (?P<float> (?: (?:\.\d+ | (?:0|[1-9]\d*)\.\d*) (?:[eE][-+]?\d+)? [fF]?
                   | (?:0|[1-9]\d*) (?:[eE][-+]?\d+ [fF]? | [fF]) ) (?![\w.]) )
    | (?P<integer> (?: 0[xX][0-9a-fA-F]+ | 0[0-7]* | [1-9]\d* ) (?![\w.]) )
    | (?P<string> "(?:[^"\\\n\0]|\\[^\n\0])*" | '(?:[^'\\\n\0]|\\[^\n\0])*' )
    | (?P<symbol> [-{}<>\[\]:,;] )
    | (?P<bad> . )
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)

# A character beyond \uffff may also be two halves: a high surrogate and, by \u only, a low one.
ESCAPE = re.compile(
    r"""
    \\(?: ([0-7]{1,3}) | x([0-9a-fA-F]{1,2})
       | (?:u|U0000) ([dD][89abAB][0-9a-fA-F]{2}) \\u ([dD][c-fC-F][0-9a-fA-F]{2})
       | (?: u([0-9a-fA-F]{4}) | U(00[01][0-9a-fA-F]{5}) ) | (.) )
    """,
    re.VERBOSE,
)
NAMED_ESCAPES = dict(zip("abfnrtv\\?'\"", "\a\b\f\n\r\t\v\\?'\"", strict=True))


class Token(NamedTuple):
    """A piece of text: its kind (one of the names above), the characters themselves and where the first one stands."""

    kind: str
    text: str
    offset: int


def tokenize(text: str) -> Iterator[Token]:
    """The tokens of ``text`` without blanks and comments, then END. What is no token comes as one BAD character."""
    for match in PATTERN.finditer(text):
        if match.lastgroup:
            yield Token(match.lastgroup, match[0], match.start())
    yield Token(END, "", len(text))


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of the character at ``offset``."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def describe(token: Token, text: str) -> str:
    """The token as an error message shows it."""
    if token.kind == END:
        return "the end of the file"
    if token.kind == BAD and token.text in "\"'":
        return "a string that does not end on its line"
    if token.kind == BAD and re.match(r"[.\d]", token.text):
        return f"malformed number {_word(text, token.offset)}"
    if token.kind == BAD and token.text == "\ufeff":
        return "a byte order mark"
    if token.kind == BAD and not token.text.isprintable():
        code = ord(token.text)
        return f"a byte {code - 0xDC00:#x}, no UTF-8" if 0xDC80 <= code <= 0xDCFF else f"a character of code {code:#x}"
    if token.text == "-":
        return _word(text, token.offset)
    return f"string {_show(token.text)}" if token.kind == STRING else f'"{_show(token.text)}"'


def unquote(literal: str) -> bytes:
    """The bytes that a quoted string stands for; ValueError at an escape that C++ does not know."""
    body = literal[1:-1]
    if "\\" not in body:
        return body.encode("utf-8", "surrogateescape")
    out, last = bytearray(), 0
    for match in ESCAPE.finditer(body):
        out += body[last : match.start()].encode("utf-8", "surrogateescape")
        octal, hexadecimal, high, low, short, long, named = match.groups()
        if octal:
            out.append(int(octal, 8) & 0xFF)
        elif hexadecimal:
            out.append(int(hexadecimal, 16))
        elif high:
            out += bytes.fromhex(high + low).decode("utf-16-be").encode()
        elif short or long:
            code = int(short or long, 16)
            # C++ leaves a number that is no character's as it is.
            out += chr(code).encode("utf-8", "surrogatepass") if code <= 0x10FFFF else f"\\U{code:08x}".encode()
        elif named in NAMED_ESCAPES:
            out += NAMED_ESCAPES[named].encode()
        else:
            raise ValueError(f"string {_show(literal)} has an unknown escape {match[0]}")
        last = match.end()
    return bytes(out + body[last:].encode("utf-8", "surrogateescape"))


def layer_lines(text: str) -> dict[str, list[int]]:
    """Lines (from 1) on which layers begin, by layer name, which layers of several phases share.

    ``text`` must have been parsed without an error.
    """
    lines: dict[str, list[int]] = {}
    path: list[str] = []  # names of the messages that are open
    field, value, start = "", b"", 0
    for token in tokenize(text):
        if token.kind == STRING:
            value += unquote(token.text)  # neighbours join
            continue
        if value and field == "name" and path in (["layer"], ["layers"], ["layers", "layer"]):
            lines.setdefault(value.decode("utf-8", "replace"), []).append(position(text, start)[0])
        value = b""
        if token.kind == IDENTIFIER:
            field = token.text
            start = start if path else token.offset
        elif token.kind == SYMBOL and token.text in "{<":
            path.append(field)
        elif token.kind == SYMBOL and token.text in "}>":
            path.pop()
    return lines


def _word(text: str, offset: int) -> str:
    match = re.compile(r"[-+.\w]+").match(text, offset)
    return f'"{_show(match[0])}"' if match else ""


def _show(text: str, limit: int = 60) -> str:
    short = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in short)
