"""``python -m caffe_compat.cli``."""

from __future__ import annotations

from caffe_compat.cli import main

main()
