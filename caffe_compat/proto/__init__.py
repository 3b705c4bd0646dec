"""Caffe's schema and everything that reads or writes it: text, binary files, upgrades from older forms, filtering."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from caffe_compat.proto import binary, caffe_pb2, raw_blobs, text
from caffe_compat.proto.filter import filter_net, state_meets_rule
from caffe_compat.proto.upgrade import fill_snapshot_prefix, upgrade_net, upgrade_solver

__all__ = [
    "binary",
    "caffe_pb2",
    "filter_net",
    "read_net",
    "read_solver",
    "read_weights",
    "state_meets_rule",
    "text",
    "upgrade_net",
    "upgrade_solver",
]


def read_net(path: str | Path) -> Any:
    """The NetParameter in the prototxt ``path``, of any age, upgraded; CaffeError if it cannot be read or is wrong."""
    net = text.read(path, caffe_pb2.NetParameter)
    upgrade_net(net, os.fspath(path))
    return net


def read_solver(path: str | Path) -> Any:
    """The SolverParameter in the prototxt ``path``, upgraded, its snapshot_prefix filled in as Caffe does.

    So are nets that are written into it, which Caffe 1.0 takes for nets without layers if they are old. Raises
    CaffeError if it cannot be read or is wrong.
    """
    solver = text.read(path, caffe_pb2.SolverParameter)
    upgrade_solver(solver, os.fspath(path))
    inside = [getattr(solver, field) for field in ("net_param", "train_net_param") if solver.HasField(field)]
    for net in [*inside, *solver.test_net_param]:
        upgrade_net(net, os.fspath(path))
    fill_snapshot_prefix(solver, path)
    return solver


def read_weights(path: str | Path) -> Any:
    """The NetParameter in the ``.caffemodel`` ``path``, of any age, upgraded; its blobs are ``raw_blobs``.

    Raises CaffeError if it cannot be read or is wrong.
    """
    net = binary.read(path, raw_blobs.message_class("NetParameter"))
    upgrade_net(net, os.fspath(path))
    return net
