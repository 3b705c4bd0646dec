"""``python -m yosinski`` is the command `yosinski`."""

from __future__ import annotations

from yosinski.cli import main

main()
