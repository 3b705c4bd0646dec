"""Cutting nets of other makes: whatever lies between two listed layers belongs to the first of them."""

from __future__ import annotations

from typing import Any

import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text
from yosinski.transplant import Sources, blobs, freeze, renew, set_sources

NET = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } transform_param { crop_size: 9 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } transform_param { mean_value: 7 } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1" convolution_param { bias_term: false } }
layer { name: "bn1" type: "BatchNorm" bottom: "c1" top: "c1" param { lr_mult: 0 } }
layer { name: "s1" type: "Scale" bottom: "c1" top: "c1" scale_param { bias_term: true } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "second" }
layer { name: "p2" type: "PReLU" bottom: "second" top: "p2" }
layer { name: "fc" type: "InnerProduct" bottom: "p2" top: "fc" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
LAYERS = ["c1", "c2", "fc"]


@pytest.fixture
def net() -> Any:
    return text.parse(NET, caffe_pb2.NetParameter)


def by_name(net: Any) -> dict[str, Any]:
    return {layer.name: layer for layer in net.layer}


def test_freeze_reaches_up_to_the_next_listed_layer(net: Any) -> None:
    freeze(net, LAYERS, 1)
    layers = by_name(net)
    mults = {name: [(p.lr_mult, p.decay_mult) for p in layer.param] for name, layer in layers.items()}
    assert mults == {name: [] for name in layers} | {"c1": [(0, 0)], "bn1": [(0, 0)] * 3, "s1": [(0, 0)] * 2}
    assert layers["bn1"].batch_norm_param.use_global_stats


def test_renew_keeps_the_net_connected(net: Any) -> None:
    renew(net, LAYERS, 1)
    layers = by_name(net)
    assert list(layers) == ["data", "c1", "bn1", "s1", "r1", "c2-new", "p2-new", "fc-new", "loss"]
    assert list(layers["c2-new"].top) == ["second"], "a top of another name than its layer's"
    assert (list(layers["p2-new"].top), list(layers["fc-new"].bottom)) == (["p2-new"], ["p2-new"])
    assert list(layers["loss"].bottom) == ["fc-new", "label"]


def test_sources_go_by_phase_and_a_mean_value_stays(net: Any) -> None:
    set_sources(net, Sources("t", "v", "m"))
    train, test = net.layer[:2]
    assert (train.data_param.source, train.transform_param.mean_file) == ("t", "m")
    assert (test.data_param.source, test.transform_param.HasField("mean_file")) == ("v", False)


def test_data_layer_of_no_phase(net: Any) -> None:
    net.layer[0].ClearField("include")
    with pytest.raises(CaffeError, match="layer 'data': expected one include rule"):
        set_sources(net, Sources("t", "v", "m"))


@pytest.mark.parametrize("layers", [["c1", "c3"], ["c1", "data"], ["c2", "c1"]])
def test_layers_that_the_net_has_not(net: Any, layers: list[str]) -> None:
    with pytest.raises(CaffeError, match=r"layers? .*: expected (once|in the order)"):
        freeze(net, layers, 1)


COUNTS = {
    'type: "InnerProduct" inner_product_param { bias_term: false }': 1,
    'type: "Deconvolution"': 2,
    'type: "Scale" bottom: "a"': 1,
    'type: "Scale" bottom: "a" bottom: "b"': 0,
    'type: "Scale" bottom: "a" bottom: "b" scale_param { bias_term: true }': 1,
    'type: "Bias" bottom: "a"': 1,
    'type: "Bias" bottom: "a" bottom: "b"': 0,
    'type: "RNN" bottom: "x" bottom: "cont"': 5,
    'type: "LSTM" bottom: "x" bottom: "cont" bottom: "static"': 4,
    'type: "Pooling"': 0,
}


@pytest.mark.parametrize("layer", COUNTS)
def test_number_of_blobs(layer: str) -> None:
    assert blobs(text.parse(layer, caffe_pb2.LayerParameter)) == COUNTS[layer]
