"""Long work that pauses now and then, so that several can go on in turn."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
Pauses = Generator[None, None, Result]


def finish(work: Pauses[Result]) -> Result:
    """Do it all, without pauses."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: Result = done.value
            return result
