"""A small net that learns without files: what most tests of the solver train."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt
from caffe_compat.solver import Solver

NET = """
name: "tiny"
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {
    shape { dim: 6 dim: 5 } shape { dim: 6 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 }
  }
}
layer {
  name: "fc1" type: "InnerProduct" bottom: "data" top: "fc1" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } }
}
layer { name: "drop1" type: "Dropout" bottom: "fc1" top: "fc1" }
layer {
  name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2" param { lr_mult: 1 } param { lr_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc2" bottom: "label" top: "accuracy" include { phase: TEST } }
"""
SOLVER = """
base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.001 max_iter: 8 random_seed: 7
snapshot_prefix: "snap" snapshot_after_train: false
"""


def solver_param(fields: str = "", net: str = NET) -> Any:
    """The SolverParameter of the tiny net, its fields merged with those of a prototxt text."""
    param = prototxt.parse(SOLVER, caffe_pb2.SolverParameter)
    param.net_param.CopyFrom(prototxt.parse(net, caffe_pb2.NetParameter))
    param.MergeFrom(prototxt.parse(fields, caffe_pb2.SolverParameter))
    return param


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Solver]:
    """Makes solvers of the tiny net; snapshots go to the current directory, which is a fresh one."""
    monkeypatch.chdir(tmp_path)
    return lambda fields="", net=NET: Solver(solver_param(fields, net))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These nets are so small that a second thread only waits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
