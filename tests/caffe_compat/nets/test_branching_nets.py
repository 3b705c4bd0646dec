"""Deep nets whose blobs have several readers: GoogLeNet with its auxiliary losses, ResNet-50."""

# ruff: noqa: C408 - nets in Python are written with dict(name=value)

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from caffe_compat import NetSpec
from caffe_compat import layers as L
from caffe_compat import params as P
from caffe_compat.net import Net
from caffe_compat.net_spec import Top
from caffe_compat.proto import caffe_pb2

FILLERS = dict(weight_filler=dict(type="xavier"), bias_filler=dict(type="constant", value=0.2))
LEARN = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]
STATISTICS = [dict(lr_mult=0, decay_mult=0)] * 3


def sources(n: NetSpec) -> None:
    n.data = L.DummyData(shape=dict(dim=[1, 3, 224, 224]), data_filler=dict(type="gaussian", std=1))
    n.label = L.DummyData(shape=dict(dim=[1]), data_filler=dict(type="constant", value=7))


# GoogLeNet: outputs of the 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection convolutions.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def convolution(n: NetSpec, name: str, bottom: Top, outputs: int, size: int, stride: int = 1) -> Top:
    """With its ReLU; padded so that only the stride makes the image smaller."""
    n[name] = L.Convolution(
        bottom, num_output=outputs, kernel_size=size, pad=size // 2, stride=stride, param=LEARN, **FILLERS
    )
    n[f"{name}/relu"] = L.ReLU(n[name], in_place=True)
    return n[f"{name}/relu"]


def inception(n: NetSpec, name: str, bottom: Top) -> Top:
    one, three_reduce, three, five_reduce, five, projection = INCEPTION[name]
    p = f"inception_{name}"
    n[f"{p}/pool"] = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, stride=1, pad=1)
    branches = [
        convolution(n, f"{p}/1x1", bottom, one, 1),
        convolution(n, f"{p}/3x3", convolution(n, f"{p}/3x3_reduce", bottom, three_reduce, 1), three, 3),
        convolution(n, f"{p}/5x5", convolution(n, f"{p}/5x5_reduce", bottom, five_reduce, 1), five, 5),
        convolution(n, f"{p}/pool_proj", n[f"{p}/pool"], projection, 1),
    ]
    n[f"{p}/output"] = L.Concat(*branches)
    return n[f"{p}/output"]


def classifier(n: NetSpec, name: str, bottom: Top, weight: float) -> None:
    n[f"{name}/classifier"] = L.InnerProduct(bottom, num_output=1000, param=LEARN, weight_filler=dict(type="xavier"))
    n[f"{name}/loss"] = L.SoftmaxWithLoss(n[f"{name}/classifier"], n.label, loss_weight=weight)
    n[f"{name}/top-5"] = L.Accuracy(
        n[f"{name}/classifier"], n.label, top_k=5, include=dict(phase=caffe_pb2.TEST), name=f"{name}/top-5"
    )


def auxiliary(n: NetSpec, name: str, bottom: Top) -> None:
    n[f"{name}/ave_pool"] = L.Pooling(bottom, pool=P.Pooling.AVE, kernel_size=5, stride=3)
    blob = convolution(n, f"{name}/conv", n[f"{name}/ave_pool"], 128, 1)
    n[f"{name}/fc"] = L.InnerProduct(blob, num_output=1024, param=LEARN, **FILLERS)
    n[f"{name}/relu_fc"] = L.ReLU(n[f"{name}/fc"], in_place=True)
    n[f"{name}/drop_fc"] = L.Dropout(n[f"{name}/relu_fc"], dropout_ratio=0.7, in_place=True)
    classifier(n, name, n[f"{name}/drop_fc"], 0.3)


def googlenet() -> Any:
    n = NetSpec()
    sources(n)

    def pool(name: str, bottom: Top) -> Top:
        n[name] = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, stride=2)
        return n[name]

    blob = pool("pool1/3x3_s2", convolution(n, "conv1/7x7_s2", n.data, 64, 7, stride=2))
    blob = n["pool1/norm1"] = L.LRN(blob, local_size=5, alpha=1e-4, beta=0.75)
    blob = convolution(n, "conv2/3x3", convolution(n, "conv2/3x3_reduce", blob, 64, 1), 192, 3)
    blob = n["conv2/norm2"] = L.LRN(blob, local_size=5, alpha=1e-4, beta=0.75)
    blob = pool("pool2/3x3_s2", blob)
    for name in INCEPTION:
        blob = inception(n, name, blob)
        if name in ("3b", "4e"):
            blob = pool(f"pool{3 if name == '3b' else 4}/3x3_s2", blob)
        elif name in ("4a", "4d"):
            auxiliary(n, "loss1" if name == "4a" else "loss2", blob)
    n["pool5/7x7_s1"] = L.Pooling(blob, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    n["pool5/drop_7x7_s1"] = L.Dropout(n["pool5/7x7_s1"], dropout_ratio=0.4, in_place=True)
    classifier(n, "loss3", n["pool5/drop_7x7_s1"], 1)
    return n.to_proto()


def test_googlenet(passes: Any) -> None:
    net = Net(googlenet(), caffe_pb2.TRAIN)
    losses = {name: 0.3 if name != "loss3" else 1.0 for name in ("loss1", "loss2", "loss3")}
    loss = passes(net)
    assert loss == pytest.approx(sum(w * float(net.blobs[f"{name}/loss"].data) for name, w in losses.items()))
    assert loss == pytest.approx(1.6 * math.log(1000), rel=0.3)
    assert net.outputs == [f"{name}/loss" for name in losses]
    shapes = {
        "conv1/7x7_s2": (64, 112, 112),
        "pool1/3x3_s2": (64, 56, 56),
        "conv2/3x3": (192, 56, 56),
        "pool2/3x3_s2": (192, 28, 28),
        "inception_3a/output": (256, 28, 28),
        "inception_3b/output": (480, 28, 28),
        "pool3/3x3_s2": (480, 14, 14),
        "inception_4a/output": (512, 14, 14),
        "inception_4b/output": (512, 14, 14),
        "inception_4c/output": (512, 14, 14),
        "inception_4d/output": (528, 14, 14),
        "inception_4e/output": (832, 14, 14),
        "pool4/3x3_s2": (832, 7, 7),
        "inception_5a/output": (832, 7, 7),
        "inception_5b/output": (1024, 7, 7),
        "pool5/7x7_s1": (1024, 1, 1),
        "loss1/ave_pool": (512, 4, 4),
        "loss1/conv": (128, 4, 4),
        "loss2/ave_pool": (528, 4, 4),
        "loss2/fc": (1024,),
        "loss3/classifier": (1000,),
    }
    assert passes.shapes(net, *shapes) == shapes
    assert passes.parameters(net) == 13_378_280
    heads = [blob.count for name, blobs in net.params.items() if name[:5] in ("loss1", "loss2") for blob in blobs]
    assert passes.parameters(net) - sum(heads) == 6_998_552  # the net as it is used


def residual_net() -> Any:
    """ResNet-50: the names of the published net; BatchNorm, Scale and ReLU work in place."""
    n = NetSpec()
    sources(n)

    def normalized(name: str, bottom: Top, outputs: int, size: int, stride: int = 1, *, relu: bool = True) -> Top:
        rest = name.removeprefix("res") if name.startswith("res") else f"_{name}"
        n[name] = L.Convolution(
            bottom,
            num_output=outputs,
            kernel_size=size,
            pad=size // 2,
            stride=stride,
            bias_term=name == "conv1",
            weight_filler=dict(type="msra"),
        )
        n[f"bn{rest}"] = L.BatchNorm(n[name], param=STATISTICS, in_place=True)
        filler = dict(type="constant", value=1 if relu else 0.5)
        n[f"scale{rest}"] = L.Scale(n[f"bn{rest}"], bias_term=True, filler=filler, in_place=True)
        if not relu:
            return n[f"scale{rest}"]
        n[f"{name}_relu"] = L.ReLU(n[f"scale{rest}"], in_place=True)
        return n[f"{name}_relu"]

    blob = normalized("conv1", n.data, 64, 7, stride=2)
    blob = n.pool1 = L.Pooling(blob, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    for stage, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=2):
        for letter in "abcdef"[:blocks]:
            p = f"res{stage}{letter}"
            stride = 2 if letter == "a" and stage > 2 else 1
            shortcut = blob
            if letter == "a":
                shortcut = normalized(f"{p}_branch1", blob, 4 * width, 1, stride, relu=False)
            blob = normalized(f"{p}_branch2a", blob, width, 1, stride)
            blob = normalized(f"{p}_branch2b", blob, width, 3)
            blob = normalized(f"{p}_branch2c", blob, 4 * width, 1, relu=False)
            n[p] = L.Eltwise(shortcut, blob)
            blob = n[f"{p}_relu"] = L.ReLU(n[p], in_place=True)
    n.pool5 = L.Pooling(blob, pool=P.Pooling.AVE, kernel_size=7, stride=1)
    n.fc1000 = L.InnerProduct(n.pool5, num_output=1000, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.fc1000, n.label)
    return n.to_proto()


def test_resnet50(passes: Any) -> None:
    net = Net(residual_net(), caffe_pb2.TRAIN)
    assert passes(net) == pytest.approx(math.log(1000), rel=0.3)
    shapes = {
        "conv1": (64, 112, 112),
        "pool1": (64, 56, 56),
        "res2a_branch1": (256, 56, 56),
        "res2c": (256, 56, 56),
        "res3d": (512, 28, 28),
        "res4f": (1024, 14, 14),
        "res5a_branch2a": (512, 7, 7),
        "res5c": (2048, 7, 7),
        "pool5": (2048, 1, 1),
        "fc1000": (1000,),
    }
    assert passes.shapes(net, *shapes) == shapes
    assert sum(layer.type == "Convolution" for layer in net.layers) == 53
    # 25,557,032 as published, and the 64 biases that the Caffe net's first convolution has.
    assert passes.parameters(net) == 25_557_032 + 64
    statistics = [blob.count for name, blobs in net.params.items() if name.startswith("bn") for blob in blobs]
    assert sum(statistics) == 53_120 + 53
    assert [blob.shape for blob in net.params["bn2a_branch1"]] == [(256,), (256,), (1,)]
    # Every training pass counts once in the statistics, which test nets divide by that count.
    assert [blobs[2].data.item() for name, blobs in net.params.items() if name.startswith("bn")] == [1.0] * 53
    tested = Net(residual_net(), caffe_pb2.TEST)
    tested.share_with(net)
    assert torch.isfinite(tested.forward_layers())
