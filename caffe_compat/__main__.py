"""``python -m caffe_compat SCRIPT [ARGS]``: run a script for pycaffe, its ``import caffe`` answered by this package.

The script runs as ``__main__``, with its folder first in ``sys.path`` and its own arguments, as Python would run it.
Caffe's log goes to stderr; GLOG_minloglevel=1 leaves warnings and errors, 2 errors, as with Caffe. An error in a net or
file is one line with the script's line in front, and exit code 1.
"""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

import caffe_compat
from caffe_compat.errors import CaffeError
from caffe_compat.mode import init_log

USAGE = "usage: python -m caffe_compat SCRIPT [ARGS]"


def main() -> int:
    """Run ``sys.argv[1]``; the exit code, unless the script ends the process by itself."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    script = arguments[0]
    if not Path(script).is_file():
        print(f"{script}: no such script; {USAGE}", file=sys.stderr)
        return 2
    init_log(None)
    caffe_compat.install_as_caffe()
    sys.argv = arguments
    sys.path[0] = str(Path(script).resolve().parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except CaffeError as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == script]
        print(f"{script}:{lines[-1]}: {error}" if lines else f"{script}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
