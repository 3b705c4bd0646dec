"""Recorded passes on the CPU, with a tape in the place of a CUDA graph."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from caffe_compat import rng
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt
from caffe_compat.recorded_pass import RecordedPass
from caffe_compat.solver import Solver

from .tape import record, record_strictly

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "label"
        dummy_data_param { shape { dim: 4 dim: 2 dim: 8 dim: 8 } shape { dim: 4 }
                           data_filler { type: "gaussian" std: 1 } data_filler { type: "uniform" min: 0 max: 2.9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "pool" top: "norm" lrn_param { alpha: 0.1 } }
layer { name: "fc" type: "InnerProduct" bottom: "norm" top: "fc" param { name: "w" } param { name: "b" }
        inner_product_param { num_output: 36 weight_filler { type: "xavier" } } }
layer { name: "tanh" type: "TanH" bottom: "fc" top: "tanh" }
layer { name: "again" type: "InnerProduct" bottom: "tanh" top: "again" param { name: "w" } param { name: "b" }
        inner_product_param { num_output: 36 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "again" bottom: "label" top: "loss" loss_weight: 0.5 }
layer { name: "other" type: "EuclideanLoss" bottom: "tanh" bottom: "again" top: "other" }
"""
INPUT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Reduction" bottom: "fc" top: "sum" loss_weight: 1 }
"""
IMAGES = INPUT.replace("dim: 4 dim: 5", "dim: 2 dim: 3 dim: 2 dim: 4")
SOLVER = """
base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.001 max_iter: 8 random_seed: 7 display: 3
snapshot_after_train: false type: "SGD"
"""


def solver(net: str = NET, fields: str = "") -> Solver:
    param = prototxt.parse(SOLVER, caffe_pb2.SolverParameter)
    param.net_param.CopyFrom(prototxt.parse(net, caffe_pb2.NetParameter))
    param.MergeFrom(prototxt.parse(fields, caffe_pb2.SolverParameter))
    return Solver(param)


def trained(recorder: Any, net: str = NET, fields: str = "", steps: int = 6) -> tuple[list[torch.Tensor], list[float]]:
    """Weights, diffs and blobs, and the losses, after some steps."""
    one = solver(net, fields)
    losses = []
    if recorder is not None:
        one._pass = RecordedPass(one.net, recorder)
    rng.set_random_seed(3)  # of the data
    for _ in range(steps):
        one.step(1)
        losses.append(one.smoothed.value)
    found = [learnable.parameter.detach().clone() for learnable in one.net.learnable]
    found += [learnable.parameter.grad.clone() for learnable in one.net.learnable]
    found += [blob.tensor.clone() for blob in one.net.blobs.values()]
    return found, losses


@pytest.mark.parametrize("fields", ["", "iter_size: 3", 'type: "Adam" momentum2: 0.99', "debug_info: true"])
def test_a_recorded_pass_trains_as_one_that_is_not(fields: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    want, losses = trained(None, fields=fields)
    assert "CUDA graph" not in caplog.text
    got, same = trained(record, fields=fields)
    assert caplog.text.count("each pass is one CUDA graph") == (2 if "iter_size" in fields else 1)
    assert losses == same and losses[0] != losses[-1]
    for mine, theirs in zip(got, want, strict=True):
        assert torch.equal(mine, theirs)


def test_data_of_another_shape_are_recorded_anew() -> None:
    net, recorded, counts = solver(INPUT).net, [], []

    def counting(work: Any) -> Any:
        recorded.append(work)
        return record(work)

    run = RecordedPass(net, counting)
    for batch in (4, 4, 4, 2, 2, 2, 4, 4, 4):
        net.blobs["data"].reshape(batch, 5)
        net.blobs["data"].tensor.fill_(batch)
        net.reshape()
        net.clear_param_diffs()
        value = float(run())
        diff = net.learnable[0].parameter.grad.clone()
        net.clear_param_diffs()
        assert value == float(net.forward_backward())
        assert torch.equal(diff, net.learnable[0].parameter.grad)
        counts.append(len(recorded))
    assert counts == [0, 1, 1, 1, 2, 2, 2, 3, 3]


def test_data_of_another_layout_are_recorded_anew() -> None:
    """A place of the old layout would be right, but cost a conversion in each pass."""
    net, recorded = solver(IMAGES).net, []

    def counting(work: Any) -> Any:
        recorded.append(work)
        return record(work)

    run = RecordedPass(net, counting)
    counts, losses = [], []
    for layout in [torch.contiguous_format] * 3 + [torch.channels_last] * 3:
        net.blobs["data"].tensor = torch.arange(48.0).view(2, 3, 2, 4).contiguous(memory_format=layout)
        net.clear_param_diffs()
        losses.append(float(run()))
        counts.append(len(recorded))
    assert counts == [0, 1, 1, 1, 2, 2]
    assert losses == pytest.approx([losses[0]] * 6, rel=1e-6)


def test_a_broken_recording_is_an_error() -> None:
    """Going on could end in wrong numbers, since torch has then not put its generator back in order."""

    def breaking(work: Any) -> Any:
        try:
            raise torch.AcceleratorError("operation not permitted when stream is capturing\nmore of it")
        except RuntimeError:
            raise torch.AcceleratorError("operation failed due to a previous error during capture") from None

    run = RecordedPass(solver(IMAGES).net, breaking)
    run()
    run.net.clear_param_diffs()
    line = r"^: no CUDA graph can hold it, it trains without: operation not permitted when stream is capturing$"
    with pytest.raises(CaffeError, match=line):
        run()


def test_layers_that_need_the_host_keep_a_net_from_being_recorded(caplog: pytest.LogCaptureFixture) -> None:
    ignoring = NET.replace("loss_weight: 0.5", "loss_weight: 0.5 loss_param { ignore_label: 2 }")
    want, _ = trained(None, ignoring)
    got, _ = trained(record, ignoring)
    assert "small: no CUDA graph, since loss (SoftmaxWithLoss) need the host; it runs layer by layer" in caplog.text
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(got, want, strict=True))


def test_a_pass_that_cannot_be_recorded_runs_layer_by_layer(caplog: pytest.LogCaptureFixture) -> None:
    want, losses = trained(None)
    got, same = trained(record_strictly)  # on a CPU the labels are looked at
    line = "small: no CUDA graph, since operation not permitted when stream is capturing; it runs layer by layer"
    assert caplog.text.count(line) == 1
    assert losses == same
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(got, want, strict=True))


def test_graphs_need_a_gpu() -> None:
    param = prototxt.parse(SOLVER, caffe_pb2.SolverParameter)
    param.net_param.CopyFrom(prototxt.parse(NET, caffe_pb2.NetParameter))
    with pytest.raises(CaffeError, match="solver: CUDA graphs are for one process with a GPU; here 1 on a cpu device"):
        Solver(param, graphs=True)
