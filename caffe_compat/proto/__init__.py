"""Caffe's schema and everything that reads or writes it: text, binary files, upgrades from older forms, filtering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caffe_compat.proto import caffe_pb2, text

__all__ = ["caffe_pb2", "read_net", "read_solver", "text"]


def read_net(path: str | Path) -> Any:
    """The NetParameter in the prototxt ``path``; CaffeError if it cannot be read or is wrong."""
    return text.read(path, caffe_pb2.NetParameter)


def read_solver(path: str | Path) -> Any:
    """The SolverParameter in the prototxt ``path``; CaffeError if it cannot be read or is wrong."""
    return text.read(path, caffe_pb2.SolverParameter)
