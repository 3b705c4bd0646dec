"""The precisions, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from caffe_compat import precision, rng
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt

NET = """
force_backward: true
layer { name: "in" type: "Input" top: "data" top: "label"
        input_param { shape { dim: 4 dim: 3 dim: 9 dim: 9 } shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 6 kernel_size: 3 group: 3 weight_filler { type: "xavier" }
                            bias_filler { type: "gaussian" std: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "pool" top: "norm" lrn_param { alpha: 0.1 } }
layer { name: "fc1" type: "InnerProduct" bottom: "norm" top: "fc1"
        inner_product_param { num_output: 8 weight_filler { type: "xavier" } bias_filler { type: "gaussian" } } }
layer { name: "drop" type: "Dropout" bottom: "fc1" top: "fc1" }
layer { name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2"
        inner_product_param { num_output: 5 transpose: true weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc2" bottom: "label" top: "accuracy" }
"""


def build(name: str, text: str = NET) -> Net:
    rng.set_random_seed(1)
    with precision.use(name):
        net = Net(prototxt.parse(text, caffe_pb2.NetParameter), caffe_pb2.TRAIN)
    random = np.random.default_rng(1)
    net.blobs["data"].data[...] = random.standard_normal(net.blobs["data"].shape)
    net.blobs["label"].data[...] = [0, 1, 2, 3]
    return net


def losses(*names: str) -> tuple[list[Net], list[float]]:
    nets, found = [build(name) for name in names], []
    for net in nets:
        rng.set_random_seed(2)  # the same dropout
        found.append(float(net.forward_backward()))
    return nets, found


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.bfloat16().float()


def test_it_is_taken_at_construction() -> None:
    assert str(precision.active()) == "fp32"
    with precision.use("bf16"), precision.use(precision.TF32):
        net = build("bf16")
        assert precision.active() is precision.TF32
    assert precision.active() is net.layers[0].precision is precision.FP32 or net.precision is precision.BF16
    assert all(layer.precision is precision.BF16 for layer in net.layers)
    with pytest.raises(CaffeError, match="'fp16', expected fp32, tf32, bf16"):
        precision.parse("fp16")


def test_tf32_is_fp32_on_a_cpu() -> None:
    nets, (first, second) = losses("fp32", "tf32")
    assert first == second
    for name in nets[0].blobs:
        assert np.array_equal(nets[0].blobs[name].data, nets[1].blobs[name].data)
        assert np.array_equal(nets[0].blobs[name].diff, nets[1].blobs[name].diff)


def test_bf16_stores_what_only_multiplying_layers_read() -> None:
    net = build("bf16")
    net.forward_backward()
    stored = {name: blob.tensor.dtype for name, blob in net.blobs.items() if "split" not in name}
    narrow = {"conv", "pool", "norm", "fc1"}  # fc2 is read by the loss
    assert {name for name, dtype in stored.items() if dtype == torch.bfloat16} == narrow
    for name in narrow:
        assert net.blobs[name].grad.dtype == torch.bfloat16
    assert all(blob.data.dtype == blob.diff.dtype == np.float32 for blob in net.blobs.values())
    assert all(learnable.parameter.dtype == torch.float32 for learnable in net.learnable)
    assert all(learnable.parameter.grad.dtype == torch.float32 for learnable in net.learnable)


def test_bf16_rounds_factors_and_sums_in_float32() -> None:
    net = build("bf16")
    net.forward_backward()
    weight, bias = (rounded(blob.parameter.data) for blob in net.params["conv"])
    top = F.conv2d(rounded(net.blobs["data"].tensor), weight, bias, groups=3)
    assert torch.equal(net.blobs["conv"].tensor, torch.relu(top).bfloat16())
    rows = net.blobs["fc1"].tensor.float()
    weight = net.params["fc2"][0].parameter.data
    assert torch.allclose(net.blobs["fc2"].tensor, rows @ rounded(weight), rtol=1e-6, atol=1e-6)
    diff = rounded(net.blobs["fc2"].grad)
    assert torch.allclose(net.params["fc2"][0].parameter.grad, rows.t() @ diff, rtol=1e-6, atol=1e-7)
    assert torch.allclose(net.params["fc2"][1].parameter.grad, diff.sum(0), rtol=1e-6, atol=1e-7)


def test_bf16_is_near_fp32() -> None:
    nets, (first, second) = losses("fp32", "bf16")
    assert second == pytest.approx(first, rel=2e-2) and first != second
    for mine, theirs in zip(nets[0].learnable, nets[1].learnable):
        difference = torch.linalg.norm(mine.parameter.grad - theirs.parameter.grad)
        assert 0 < difference < 0.05 * torch.linalg.norm(mine.parameter.grad)


def test_arrays_of_bfloat16_blobs_can_be_written_to() -> None:
    net = build("bf16")
    net.forward_layers()
    pool = net.blobs["pool"].data
    pool[...] = 3.0
    start = [layer.name for layer in net.layers].index("norm")
    net.forward_layers(start)
    assert np.allclose(net.blobs["norm"].data[:, 1], 3 * (1 + 0.1 / 5 * 9 * 4) ** -0.75, rtol=1e-2)
    net.blobs["conv"].diff[...] = 1.0
    net.backward_layers([layer.name for layer in net.layers].index("conv"))
    assert np.allclose(net.params["conv"][1].diff, 4 * 7 * 7, rtol=1e-2)


def test_who_looks_at_blobs_before_the_first_pass_changes_nothing() -> None:
    nets = [build("bf16"), build("bf16")]
    assert all(blob.data.shape == blob.diff.shape for blob in nets[1].blobs.values())
    for net in nets:
        rng.set_random_seed(2)
        net.forward_backward()
    for one, other in zip(nets[0].blobs.values(), nets[1].blobs.values(), strict=True):
        assert one.tensor.dtype == other.tensor.dtype and torch.equal(one.tensor, other.tensor)


def test_torchs_way_through_a_bf16_net() -> None:
    net = build("bf16")
    rng.set_random_seed(2)
    loss = net()["loss"]
    loss.backward()
    got = [parameter.grad.clone() for parameter in net.parameters()]
    (again,), (value,) = losses("bf16")
    assert float(loss.detach()) == value
    for mine, theirs in zip(got, again.parameters()):
        assert torch.allclose(mine, theirs.grad, rtol=1e-2, atol=1e-4)


def test_bf16_with_the_factors_that_a_gpu_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """There they are bfloat16 tensors, and the convolution's results as well."""
    _, (want,) = losses("bf16")
    monkeypatch.setattr(precision.Precision, "factor", lambda self, x: x.to(torch.bfloat16) if self.bf16 else x)
    monkeypatch.setattr(precision.Precision, "product", lambda self, a, b: a.float() @ b.float())
    (net,), (got,) = losses("bf16")
    assert got == pytest.approx(want, rel=1e-2)
    for name in ("conv", "pool", "norm", "fc1"):
        assert net.blobs[name].tensor.dtype == net.blobs[name].grad.dtype == torch.bfloat16
    assert net.blobs["fc2"].tensor.dtype == torch.float32
    assert all(learnable.parameter.grad.dtype == torch.float32 for learnable in net.learnable)


def test_switches_of_a_gpu() -> None:
    """TF32 only in the precision of that name, and cuDNN's sums in one order in all."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic
    try:
        for name in ("tf32", "fp32", "bf16"):
            precision.parse(name).prepare(torch.device("cuda"))
            assert (cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic) == (*[name == "tf32"] * 2, True)
    finally:
        cudnn.allow_tf32, products.allow_tf32, cudnn.deterministic = before
