"""The ``caffe`` program: Caffe's commands and tools with its flags, its log lines, and exit codes that mean something.

``python -m caffe_compat.cli train --solver=...`` or ``caffe-compat train -solver ...``. Exit codes: 0 done, 1 failed
(the last line says why), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from caffe_compat import interrupt


def main() -> None:
    """The console script ``caffe-compat``."""
    interrupt.leave()  # before what takes a while to import
    from caffe_compat import program
    from caffe_compat.cli.commands import caffe

    program.run(caffe, "caffe")
