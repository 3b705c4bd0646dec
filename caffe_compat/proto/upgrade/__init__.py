"""Definitions and weights of any age, turned in place into what Caffe 1.0 writes; one function a historical change.

The order of the changes, what each keeps and drops, and every log line are those of Caffe's ``upgrade_proto.cpp``.
"""

from __future__ import annotations

from caffe_compat.proto.upgrade.net import net_needs_upgrade, upgrade_net
from caffe_compat.proto.upgrade.solver import fill_snapshot_prefix, solver_needs_upgrade, upgrade_solver

__all__ = ["fill_snapshot_prefix", "net_needs_upgrade", "solver_needs_upgrade", "upgrade_net", "upgrade_solver"]
