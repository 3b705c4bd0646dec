"""How long work tells of its progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with how much is done and how much it is in all
