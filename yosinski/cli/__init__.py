"""The `yosinski` command.

Exit codes: 0 done, 1 failed with one line that says why, 2 wrong usage, 128 + n ended by signal n: 130 by Ctrl-C.
"""

from __future__ import annotations

from caffe_compat import interrupt


def main() -> None:
    """The console script ``yosinski``."""
    interrupt.leave()  # before what takes a while to import
    from caffe_compat import program
    from yosinski.cli.commands import cli

    program.run(cli, "yosinski")
