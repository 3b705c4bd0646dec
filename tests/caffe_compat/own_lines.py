"""The log lines of the test at hand: nets that earlier tests have left may still be reading ahead, and say so."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TextIO

from caffe_compat import glog


def attach(target: TextIO | str | Path) -> logging.Handler:
    """As ``glog.attach``, for the lines of this thread."""
    handler, mine = glog.attach(target), threading.get_ident()
    handler.addFilter(lambda record: record.thread == mine)
    return handler
