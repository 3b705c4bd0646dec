"""Training: learning-rate policies, update rules, the loop, snapshots and resume."""

from caffe_compat.solver.solver import Solver

__all__ = ["Solver"]
