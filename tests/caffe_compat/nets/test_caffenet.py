"""The nets with eight layers: AlexNet, CaffeNet, what is made out of CaffeNet's weights, and VGG-16."""

# ruff: noqa: C408 - nets in Python are written with dict(name=value)

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat import NetSpec, weights
from caffe_compat import layers as L
from caffe_compat import params as P
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

LEARN = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]
LEARN_TEN_TIMES = [dict(lr_mult=10, decay_mult=1), dict(lr_mult=20, decay_mult=0)]
CONVOLUTIONS = {
    1: dict(num_output=96, kernel_size=11, stride=4),
    2: dict(num_output=256, kernel_size=5, pad=2, group=2),
    3: dict(num_output=384, kernel_size=3, pad=1),
    4: dict(num_output=384, kernel_size=3, pad=1, group=2),
    5: dict(num_output=256, kernel_size=3, pad=1, group=2),
}


def fillers(std: float, bias: float) -> dict[str, Any]:
    """The spread of the published Gaussians, in the filler that is quickest to draw."""
    width = std * math.sqrt(3)
    return dict(
        weight_filler=dict(type="uniform", min=-width, max=width), bias_filler=dict(type="constant", value=bias)
    )


def caffenet(
    size: int = 227, classes: int = 1000, last: str = "fc8", alexnet: bool = False, convolutional: bool = False
) -> Any:
    """A net that trains on noise, two images at a time.

    AlexNet normalises before it pools, CaffeNet after. A convolutional one has fc layers that slide over the image and
    a label for each place; ``last`` with another name starts anew and learns ten times as fast.
    """
    n = NetSpec()
    n.data = L.DummyData(shape=dict(dim=[2, 3, size, size]), data_filler=dict(type="gaussian", std=50))
    blob = n.data
    for i, shape in CONVOLUTIONS.items():
        n[f"conv{i}"] = L.Convolution(blob, param=LEARN, **shape, **fillers(0.01, i % 2 == 0 or i == 5))
        blob = n[f"relu{i}"] = L.ReLU(n[f"conv{i}"], in_place=True)
        steps = {1: ["norm", "pool"] if alexnet else ["pool", "norm"], 5: ["pool"]}
        for step in steps.get(i, steps[1] if i == 2 else []):
            if step == "pool":
                blob = n[f"pool{i}"] = L.Pooling(blob, pool=P.Pooling.MAX, kernel_size=3, stride=2)
            else:
                blob = n[f"norm{i}"] = L.LRN(blob, local_size=5, alpha=1e-4, beta=0.75)
    for i, outputs, kernel in ((6, 4096, 6), (7, 4096, 1)):
        name = f"fc{i}-conv" if convolutional else f"fc{i}"
        if convolutional:
            n[name] = L.Convolution(blob, num_output=outputs, kernel_size=kernel)
        else:
            n[name] = L.InnerProduct(blob, param=LEARN, num_output=outputs, **fillers(0.005, 1))
        blob = n[f"relu{i}"] = L.ReLU(n[name], in_place=True)
        blob = n[f"drop{i}"] = L.Dropout(blob, dropout_ratio=0.5, in_place=True)
    if convolutional:
        n[last] = L.Convolution(blob, num_output=classes, kernel_size=1)
    else:
        param = LEARN if last == "fc8" else LEARN_TEN_TIMES
        n[last] = L.InnerProduct(blob, param=param, num_output=classes, **fillers(0.01, 0))
    places = ((size - 227) // 32 + 1,) * 2 if convolutional else ()
    n.label = L.DummyData(shape=dict(dim=[2, *places]), data_filler=dict(type="constant", value=7))
    n.loss = L.SoftmaxWithLoss(n[last], n.label)
    n.prob = L.Softmax(n[last], include=dict(phase=caffe_pb2.TEST))
    return n.to_proto()


SHAPES = {
    "data": (3, 227, 227),
    "conv1": (96, 55, 55),
    "pool1": (96, 27, 27),
    "norm2": (256, 13, 13),
    "conv2": (256, 27, 27),
    "conv3": (384, 13, 13),
    "conv4": (384, 13, 13),
    "conv5": (256, 13, 13),
    "pool5": (256, 6, 6),
    "fc6": (4096,),
    "fc7": (4096,),
    "fc8": (1000,),
}
PER_LAYER = {
    "conv1": 34_944,
    "conv2": 307_456,
    "conv3": 885_120,
    "conv4": 663_936,
    "conv5": 442_624,
    "fc6": 37_752_832,
    "fc7": 16_781_312,
    "fc8": 4_097_000,
}


def per_layer(net: Net) -> dict[str, int]:
    return {name: sum(blob.count for blob in blobs) for name, blobs in net.params.items()}


@pytest.fixture(scope="module")
def trained() -> Net:
    """CaffeNet after one pass."""
    return Net(caffenet(), caffe_pb2.TRAIN)


def test_caffenet(trained: Net, passes: Any) -> None:
    assert passes(trained) == pytest.approx(math.log(1000), rel=0.5)
    assert passes.shapes(trained, *SHAPES, "norm1") == SHAPES | {"norm1": (96, 27, 27), "norm2": (256, 13, 13)}
    assert passes.parameters(trained) == 60_965_224
    assert per_layer(trained) == PER_LAYER


def test_alexnet(passes: Any) -> None:
    net = Net(caffenet(alexnet=True), caffe_pb2.TRAIN)
    assert passes(net) == pytest.approx(math.log(1000), rel=0.5)
    assert passes.shapes(net, *SHAPES, "norm1") == SHAPES | {"norm1": (96, 55, 55), "norm2": (256, 27, 27)}
    assert passes.parameters(net) == 60_965_224


def test_fine_tuning_keeps_all_but_the_last_layer(trained: Net, passes: Any, tmp_path: Path) -> None:
    """Flickr style: 20 classes in a layer with a new name, which the file of weights does not know."""
    path = tmp_path / "caffenet.caffemodel"
    weights.save(trained, path)
    net = Net(caffenet(classes=20, last="fc8_flickr"), caffe_pb2.TRAIN)
    fresh = net.params["fc8_flickr"][0].data.copy()
    net.copy_from(path)
    path.unlink()
    assert np.array_equal(net.params["fc8_flickr"][0].data, fresh)
    for name, blobs in trained.params.items():
        if name != "fc8":
            assert all(np.array_equal(mine.data, its.data) for mine, its in zip(net.params[name], blobs)), name
    assert passes(net) == pytest.approx(math.log(20), abs=2)
    assert passes.shapes(net, "pool5", "fc7", "fc8_flickr") == {
        "pool5": (256, 6, 6),
        "fc7": (4096,),
        "fc8_flickr": (20,),
    }
    assert passes.parameters(net) == 60_965_224 - 4_097_000 + 20 * 4097
    rates = {(learnable.layer, learnable.index): learnable.lr_mult for learnable in net.learnable}
    assert {name[0] for name, rate in rates.items() if rate in (10, 20)} == {"fc8_flickr"}
    assert (rates["fc7", 0], rates["fc7", 1]) == (1, 2)


def test_net_surgery(trained: Net, passes: Any) -> None:
    """Weights of fc layers, reshaped, make convolutions: the same scores, and a map of them on a larger image."""
    pairs = {"fc6": "fc6-conv", "fc7": "fc7-conv", "fc8": "fc8-conv"}
    whole = Net(caffenet(size=451, last="fc8-conv", convolutional=True), caffe_pb2.TRAIN)
    whole.copy_from(trained.to_proto())
    for fc, conv in pairs.items():
        for old, new in zip(trained.params[fc], whole.params[conv]):
            new.data.flat[:] = old.data.flat
    assert [blob.shape for blob in whole.params["fc6-conv"]] == [(4096, 256, 6, 6), (4096,)]
    assert per_layer(whole) == {pairs.get(name, name): count for name, count in PER_LAYER.items()}
    assert passes(whole) == pytest.approx(math.log(1000), rel=0.5)
    assert passes.shapes(whole, "pool5", "fc6-conv", "fc8-conv") == {
        "pool5": (256, 13, 13),
        "fc6-conv": (4096, 8, 8),
        "fc8-conv": (1000, 8, 8),
    }
    same_size, classifier = (
        Net(caffenet(last=last, convolutional=last != "fc8"), caffe_pb2.TEST) for last in ("fc8-conv", "fc8")
    )
    same_size.share_with(whole)
    classifier.share_with(trained)
    classifier.forward_layers()
    same_size.blobs["data"].data[...] = classifier.blobs["data"].data
    same_size.forward_layers(1)
    assert same_size.blobs["prob"].shape == (2, 1000, 1, 1)
    got, want = same_size.blobs["prob"].data[:, :, 0, 0], classifier.blobs["prob"].data
    np.testing.assert_allclose(got, want, rtol=1e-4)
    np.testing.assert_allclose(want.sum(1), 1, rtol=1e-5)


def test_vgg16(passes: Any) -> None:
    n = NetSpec()
    n.data = L.DummyData(shape=dict(dim=[1, 3, 224, 224]), data_filler=dict(type="gaussian", std=1))
    n.label = L.DummyData(shape=dict(dim=[1]), data_filler=dict(type="constant", value=7))
    blob = n.data
    for block, (convolutions, outputs) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1):
        for i in range(1, convolutions + 1):
            name = f"{block}_{i}"
            n[f"conv{name}"] = L.Convolution(blob, num_output=outputs, kernel_size=3, pad=1, param=LEARN)
            blob = n[f"relu{name}"] = L.ReLU(n[f"conv{name}"], in_place=True)
        blob = n[f"pool{block}"] = L.Pooling(blob, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    for i in (6, 7):
        n[f"fc{i}"] = L.InnerProduct(blob, num_output=4096, param=LEARN)
        n[f"relu{i}"] = L.ReLU(n[f"fc{i}"], in_place=True)
        blob = n[f"drop{i}"] = L.Dropout(n[f"fc{i}"], dropout_ratio=0.5, in_place=True)
    n.fc8 = L.InnerProduct(blob, num_output=1000, param=LEARN)
    n.loss = L.SoftmaxWithLoss(n.fc8, n.label)
    net = Net(n.to_proto(), caffe_pb2.TRAIN)
    for learnable in net.learnable:
        if learnable.parameter.ndim > 1:
            torch.nn.init.kaiming_uniform_(learnable.parameter)
    assert 0 < passes(net) < 100
    assert passes.shapes(net, *(f"pool{i}" for i in range(1, 6)), "conv5_3", "fc6", "fc7", "fc8") == {
        "pool1": (64, 112, 112),
        "pool2": (128, 56, 56),
        "pool3": (256, 28, 28),
        "pool4": (512, 14, 14),
        "pool5": (512, 7, 7),
        "conv5_3": (512, 14, 14),
        "fc6": (4096,),
        "fc7": (4096,),
        "fc8": (1000,),
    }
    assert passes.parameters(net) == 138_357_544
