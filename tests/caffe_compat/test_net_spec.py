"""Nets written in Python: what ``NetSpec`` makes of layers, names and fields."""

# ruff: noqa: C408 - nets in Python are written with dict(name=value)

from __future__ import annotations

import copy

import pytest

from caffe_compat import NetSpec, net_spec, to_proto
from caffe_compat import layers as L
from caffe_compat import params as P
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text


def lenet() -> NetSpec:
    n = NetSpec()
    n.data, n.label = L.Data(batch_size=64, backend=P.Data.LMDB, source="db", transform_param=dict(scale=0.5), ntop=2)
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.ip1 = L.InnerProduct(n.pool1, num_output=500, param=[dict(lr_mult=1), dict(lr_mult=2, name="b")])
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu1, num_output=10)
    n.loss = L.SoftmaxWithLoss(n.ip2, n.label, loss_weight=3)
    return n


LENET = """
layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { scale: 0.5 } data_param { source: "db" batch_size: 64 backend: LMDB } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
  param { lr_mult: 1 } param { name: "b" lr_mult: 2 } inner_product_param { num_output: 500 } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" loss_weight: 3 }
"""


def parsed(definition: str) -> caffe_pb2.NetParameter:
    return text.parse(definition, caffe_pb2.NetParameter)


def test_a_whole_net() -> None:
    assert lenet().to_proto() == parsed(LENET)


def test_tops_without_a_name_are_numbered_by_type() -> None:
    data = L.DummyData(shape=dict(dim=[1, 2]))
    a = L.InnerProduct(data, num_output=1)
    b = L.InnerProduct(a, num_output=2)
    left, right = L.Slice(b, ntop=2)
    net = to_proto(right, left)
    assert [(layer.name, list(layer.bottom), list(layer.top)) for layer in net.layer] == [
        ("DummyData1", [], ["DummyData1"]),
        ("InnerProduct1", ["DummyData1"], ["InnerProduct1"]),
        ("InnerProduct2", ["InnerProduct1"], ["InnerProduct2"]),
        ("Slice1", ["InnerProduct2"], ["Slice1", "Slice2"]),
    ]
    assert left.to_proto() == net


def test_a_layer_without_tops_is_named_or_numbered() -> None:
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 2]), ntop=1)
    n.quiet = L.Silence(n.data, ntop=0)
    assert n.to_proto().layer[1] == caffe_pb2.LayerParameter(name="quiet", type="Silence", bottom=["data"])
    assert to_proto(L.Silence(n.data, ntop=0)).layer[1].name == "Silence1"


def test_a_name_may_be_given_and_then_the_blob_keeps_its_own() -> None:
    n = NetSpec()
    n.a = L.Input(shape=[dict(dim=[1])], name="given")
    (layer,) = n.to_proto().layer
    assert (layer.name, list(layer.top)) == ("given", ["a"])


def test_attributes_and_items_are_the_same_tops() -> None:
    n = lenet()
    n["extra/relu"] = L.ReLU(n["ip2"])
    assert n["ip1"] is n.ip1
    assert n.keys()[-1] == "extra/relu"
    assert n.vals()[1] is n.label
    n.update("conv1", dict(num_output=7))
    assert n.to_proto().layer[1].convolution_param.num_output == 7
    del n["extra/relu"], n.loss
    assert [layer.name for layer in n.to_proto().layer][-1] == "ip2"
    assert not hasattr(n, "loss")
    assert copy.copy(n).keys() == n.keys()


def test_fields_of_the_layer_and_of_its_type() -> None:
    n = NetSpec()
    n.x = L.Python(module="m", layer="k", param_str="{'a': 1}", include=dict(phase=caffe_pb2.TRAIN), propagate_down=[1])
    n.y = L.Deconvolution(n.x, convolution_param=dict(num_output=2, kernel_size=[3, 4], bias_term=False))
    n.z = L.Reshape(n.y, shape=dict(dim=(0, -1)))
    n.w = L.LRN(n.z, norm_region=P.LRN.WITHIN_CHANNEL)
    n.v = L.Dropout(n.w, dropout_ratio=0.4, dropout_param={})
    x, y, z, w, v = n.to_proto().layer
    assert x.python_param.param_str == "{'a': 1}"
    assert x.include[0].phase == caffe_pb2.TRAIN
    assert list(x.propagate_down) == [True]
    assert list(y.convolution_param.kernel_size) == [3, 4]
    assert list(z.reshape_param.shape.dim) == [0, -1]
    assert w.lrn_param.norm_region == caffe_pb2.LRNParameter.WITHIN_CHANNEL
    assert v.dropout_param.dropout_ratio == pytest.approx(0.4)


def test_a_deep_net_needs_no_deep_stack() -> None:
    top = L.Input(shape=dict(dim=[1]))
    for _ in range(3000):
        top = L.ReLU(top)
    assert len(top.to_proto().layer) == 3001


@pytest.mark.parametrize(
    ("specify", "message"),
    [
        (
            lambda x: L.Convolution(x, kernel_sise=3),
            r"layer '\w+' \(L.Convolution\).*'kernel_sise'; did you mean 'kernel_size'",
        ),
        (lambda x: L.Convolution(x, kernel_size="three"), "ConvolutionParameter.kernel_size: 'three' does not fit"),
        (lambda x: L.Convolution(x, num_output=[1, 2]), r"num_output takes one value, not \[1, 2\]"),
        (lambda x: L.Convolution(x, weight_filler=dict(typ="x")), "FillerParameter has no field 'typ'"),
        (lambda x: L.Pooling(x, pool=17), "PoolingParameter.pool: 17 does not fit"),
    ],
)
def test_wrong_fields_are_named(specify: object, message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        specify(L.Input(shape=dict(dim=[1]))).to_proto()  # type: ignore[operator]


def test_what_is_no_top_is_named() -> None:
    with pytest.raises(TypeError, match="Convolution input 1 is not a Top"):
        L.Convolution(L.Input(), "data")
    n = NetSpec()
    n.pair = L.Input(ntop=2)
    with pytest.raises(CaffeError, match="NetSpec: 'pair' is"):
        n.to_proto()


def test_l_and_p_offer_what_there_is() -> None:
    assert P.Eltwise.PROD == caffe_pb2.EltwiseParameter.PROD
    with pytest.raises(AttributeError, match="NoneSuchParameter"):
        _ = P.NoneSuch
    with pytest.raises(AttributeError):
        _ = L.convolutions  # no layer type, and no file of ours
    assert L.convolution.__name__ == "caffe_compat.layers.convolution"
    assert callable(net_spec.layers.AnyTypeAtAll)
