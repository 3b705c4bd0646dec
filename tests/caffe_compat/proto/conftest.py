"""What the tests of the schema share."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest

from caffe_compat import glog

from .. import own_lines


class Log:
    """What was logged, a line as ``severity file.cpp:line] message``."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def lines(self) -> list[str]:
        return [re.sub(r"^(.)\S+ \S+ +\d+ ", r"\1 ", line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    """Everything that goes through glog during the test."""
    stream = io.StringIO()
    handler = own_lines.attach(stream)
    yield Log(stream)
    glog.detach(handler)
