"""What a net makes of its definition: gradients where they are needed, shared parameters, errors with a place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import caffe_compat as caffe
from caffe_compat.errors import CaffeError
from caffe_compat.layers.base import Need
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, text

INPUT = (
    'layer { name: "in" type: "Input" top: "x" top: "label" input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }'
)
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }'
FILLER = 'weight_filler { type: "gaussian" std: 0.5 }'


def ip(name: str, bottom: str, top: str, extra: str = "", outputs: int = 3) -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{top}" {extra} '
        f"inner_product_param {{ num_output: {outputs} {FILLER} }} }}"
    )


def build(*layers: str, **options: object) -> Net:
    definition = "\n".join([INPUT, *layers])
    return Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TRAIN, **options)  # type: ignore[arg-type]


def needs_by_layer(net: Net) -> dict[str, Need | None]:
    return {layer.name: need for layer, need in zip(net.layers, net.needs, strict=True)}


FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"


def test_frozen_layers_at_the_bottom_cost_no_backward() -> None:
    net = build(ip("one", "x", "a", FROZEN), ip("two", "a", "b", FROZEN), ip("three", "b", "c"), LOSS)
    needs = needs_by_layer(net)
    assert needs["one"] is None
    assert needs["two"] is None
    assert needs["three"] == Need((False,), (True, True))
    assert needs["loss"] == Need((True, False), ())


def test_a_frozen_layer_above_a_learning_one_passes_the_gradient_and_makes_none_of_its_own() -> None:
    net = build(ip("one", "x", "a"), ip("two", "a", "c", FROZEN), LOSS)
    assert needs_by_layer(net)["two"] == Need((True,), (False, False))
    net.forward_backward()
    assert [p.parameter.grad is None for p in net.learnable] == [False, False, True, True]


@pytest.mark.parametrize(("specs", "learns"), [("", True), ("param { lr_mult: 0 } " * 3, False)])
def test_statistics_without_specs_count_as_learning(specs: str, learns: bool) -> None:
    """Net::Init looks at the definition, to which BatchNorm's set-up adds rates of 0 only in the layer's own copy."""
    one, bn = ip("one", "x", "a", FROZEN), f'layer {{ name: "bn" type: "BatchNorm" bottom: "a" top: "b" {specs} }}'
    two = ip("two", "b", "d", FROZEN)
    net = build(one, bn, two, ip("three", "d", "c"), LOSS)
    needs = needs_by_layer(net)
    assert needs["one"] is None
    assert needs["bn"] == (Need((False,), (True,) * 3) if learns else None)
    assert needs["two"] == (Need((True,), (False, False)) if learns else None)
    assert [p.lr_mult for p in net.learnable] == [0, 0, 0, 0, 0, 0, 0, 1, 1]
    net.forward_backward()
    assert net.blobs["b"].diff.any() == learns
    assert not any(blob.diff.any() for blob in net.params["bn"])


def test_propagate_down_stops_the_gradient_and_the_layers_below() -> None:
    net = build(ip("one", "x", "a"), ip("two", "a", "c", "propagate_down: false"), LOSS)
    needs = needs_by_layer(net)
    assert needs["one"] is None
    assert needs["two"] == Need((False,), (True, True))


def test_a_branch_without_a_loss_gets_no_gradient() -> None:
    net = build(ip("one", "x", "a"), ip("side", "a", "s"), ip("two", "a", "c"), LOSS)
    assert needs_by_layer(net)["side"] is None
    assert needs_by_layer(net)["one"] is not None
    assert net.outputs == ["loss", "s"]


def test_force_backward_reaches_the_data_but_not_the_labels() -> None:
    net = build("force_backward: true", ip("one", "x", "a", FROZEN), ip("two", "a", "c"), LOSS)
    needs = needs_by_layer(net)
    assert needs["one"] == Need((True,), (True, True))
    assert needs["loss"] == Need((True, False), ())
    net.blobs["x"].data[...] = 1
    net.forward_backward()
    assert np.abs(net.blobs["x"].diff).sum() > 0


def test_both_ways_to_run_give_the_same_loss_and_gradients() -> None:
    caffe.set_random_seed(1)
    relu = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }'
    net = build(ip("one", "x", "a", outputs=8), relu, ip("two", "a", "c"), LOSS)
    x, label = torch.randn(4, 3), torch.tensor([0.0, 2, 1, 1])
    net.blobs["x"].tensor, net.blobs["label"].tensor = x, label
    loss = net.forward_backward()
    grads = [p.parameter.grad.clone() for p in net.learnable if p.parameter.grad is not None]
    net.clear_param_diffs()
    outputs = net(x=x, label=label)
    outputs["loss"].backward()
    assert torch.equal(outputs["loss"].detach(), loss)
    assert len(grads) == 4
    for grad, learnable in zip(grads, net.learnable, strict=True):
        assert torch.allclose(grad, learnable.parameter.grad, rtol=1e-6, atol=1e-7)


def test_parameters_diffs_add_up_until_they_are_cleared() -> None:
    net = build(ip("one", "x", "c"), LOSS)
    net.blobs["x"].data[...] = np.arange(12).reshape(4, 3)
    net.forward_backward()
    once = net.params["one"][0].diff.copy()
    net.forward_backward()
    assert np.allclose(net.params["one"][0].diff, 2 * once)
    net.clear_param_diffs()
    assert not net.params["one"][0].diff.any()


def test_shared_parameters_are_one_and_collect_both_gradients() -> None:
    shared = 'param { name: "w" lr_mult: 3 } param { name: "b" }'
    net = build(ip("one", "x", "a", shared), ip("two", "a", "c", shared), LOSS)
    assert [(p.layer, p.index, p.lr_mult) for p in net.learnable] == [("one", 0, 3), ("one", 1, 1)]
    assert net.params["one"][0].parameter is net.params["two"][0].parameter
    net.blobs["x"].data[...] = np.arange(12).reshape(4, 3) / 10
    net.forward_backward()
    w, b = net.params["one"][0].parameter, net.params["one"][1].parameter
    got = w.grad.clone()  # type: ignore[union-attr]
    w.grad = b.grad = None
    net(x=net.blobs["x"].tensor, label=net.blobs["label"].tensor)["loss"].backward()
    assert torch.allclose(got, w.grad, rtol=1e-5, atol=1e-7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            'param { name: "w" lr_mult: 2 }',
            "layer 'two': param 'w' is shared with layer 'one', but its lr_mult is 2, there 1",
        ),
        ('param { name: "w" } inner_product_param { axis: 0 }', "but its shape is [3, 12], the owner's [3, 3]"),
    ],
)
def test_shared_parameters_have_to_fit(second: str, message: str) -> None:
    one = ip("one", "x", "a", 'param { name: "w" lr_mult: 1 }')
    two = f'layer {{ name: "two" type: "InnerProduct" bottom: "a" top: "c" {second} }}'.replace(
        "inner_product_param { axis: 0", "inner_product_param { axis: 0 num_output: 3"
    )
    if "num_output" not in two:
        two = two[:-2] + " inner_product_param { num_output: 3 } }"
    with pytest.raises(CaffeError) as error:
        build(one, two)
    assert message in str(error.value)


def test_a_parameter_shared_under_another_shape_stays_one_when_the_net_moves() -> None:
    shared = 'param { name: "w" share_mode: PERMISSIVE }'
    one = ip("one", "x", "a", shared, outputs=6).replace("num_output: 6", "num_output: 6 bias_term: false")
    two = ip("two", "a", "c", shared, outputs=3).replace("num_output: 3", "num_output: 3 bias_term: false")
    net = build(one, two, LOSS)
    assert [p.layer for p in net.learnable] == ["one"]
    net.double()
    net.params["one"][0].data[...] = np.arange(18).reshape(6, 3)
    assert net.params["two"][0].data.tolist() == np.arange(18).reshape(3, 6).tolist()
    net.blobs["x"].data[...] = 0.01
    net.forward_backward()
    assert net.learnable[0].parameter.grad is not None
    assert net.learnable[0].parameter.grad.shape == (6, 3)


def test_loss_weights_scale_loss_and_gradient() -> None:
    plain, double = (build(ip("one", "x", "c"), LOSS.replace("top:", f"{w} top:")) for w in ("", "loss_weight: 2"))
    double.share_with(plain)
    for net in (plain, double):
        net.blobs["x"].data[...] = np.arange(12).reshape(4, 3)
    assert float(double.forward_backward()) == pytest.approx(2 * float(plain.forward_backward()))
    assert np.allclose(double.params["one"][0].diff, 2 * plain.params["one"][0].diff)
    assert double.loss_weight("loss") == 2


def test_reshape_changes_the_batch_of_every_blob() -> None:
    net = build(ip("one", "x", "c"), LOSS)
    net.blobs["x"].reshape(7, 3)
    net.blobs["label"].reshape(7)
    net.reshape()
    assert net.blobs["c"].shape == (7, 3)
    net.forward_backward()
    assert net.blobs["c"].data.shape == (7, 3)


def test_double_precision_runs_through() -> None:
    net = build(ip("one", "x", "c"), LOSS).double()
    assert net.forward_backward().dtype == torch.float64


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            ['layer { name: "p" type: "Poolin" bottom: "x" top: "y" }'],
            "layer 'p': unknown layer type 'Poolin'; did you mean Pooling",
        ),
        (['layer { name: "c" type: "Concat" bottom: "x" top: "x" top: "y" }'], "Concat takes 1 top blob(s), got 2"),
        ([ip("one", "x", "label")], "Top blob 'label' produced by multiple sources."),
        (
            [ip("one", "x", "c", "propagate_down: true propagate_down: true")],
            "propagate_down has 2 values; expected none or 1",
        ),
        ([ip("one", "x", "c", "param {} param {} param {}")], "3 param specs for 2 parameters"),
        (
            [ip("one", "x", "c", "loss_weight: 1 loss_weight: 1")],
            "loss_weight must be unspecified or specified once per top",
        ),
        ([ip("one", "x", "c"), LOSS.replace('"c"', '"x"').replace('"label"', '"x"')], "number of labels must match"),
    ],
)
def test_errors_name_the_layer(layers: list[str], message: str) -> None:
    with pytest.raises(CaffeError) as error:
        build(*layers)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_errors_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(f'{INPUT}\n\nlayer {{\n  name: "ip"\n  type: "InnerProduct"\n  bottom: "x"\n  top: "y"\n}}\n')
    with pytest.raises(CaffeError) as error:
        Net(path, caffe_pb2.TRAIN)
    assert str(error.value) == f"{path}:3: layer 'ip': num_output: 0, expected at least 1"


def test_of_layers_that_share_a_name_the_one_in_the_net_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        """layer { name: "data" type: "Input" top: "x" include { phase: TRAIN } }
        layer { name: "data" type: "Input" top: "x" include { phase: TEST } input_param { shape { dim: -1 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "y" top: "x" }"""
    )
    with pytest.raises(CaffeError, match=r"net\.prototxt:3: Unknown bottom blob 'y'"):
        Net(path, caffe_pb2.TRAIN)
    path.write_text(path.read_text().replace('bottom: "y"', 'bottom: "x"'))
    with pytest.raises(CaffeError, match=r"net\.prototxt:2: layer 'data': top 'x' has the shape \[-1\]; expected no"):
        Net(path, caffe_pb2.TEST)


def test_a_bottom_whose_layer_is_for_another_state_says_so(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        """layer { name: "in" type: "Input" top: "data" include { phase: TEST stage: "deploy" } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "y" }"""
    )
    with pytest.raises(CaffeError) as error:
        Net(path, caffe_pb2.TEST, stages=["val"])
    assert str(error.value) == (
        f"{path}:2: Unknown bottom blob 'data' (layer 'ip', bottom index 0); "
        """layer 'in', which makes it, is not for this state: phase: TEST level: 0 stage: "val\""""
    )


def test_no_blob_is_larger_than_caffes() -> None:
    with pytest.raises(CaffeError, match=r"^layer 'ip': parameter 0 has the shape .*; expected no negative sizes"):
        build(ip("ip", "x", "c", outputs=2**31 // 3 + 1))
    with pytest.raises(CaffeError, match=r"^layer 'big': top 'b' has the shape \[65536, 32768\]; expected "):
        build('layer { name: "big" type: "Input" top: "b" input_param { shape { dim: 65536 dim: 32768 } } }')


def test_a_label_out_of_range_is_one_clear_line() -> None:
    net = build(ip("one", "x", "c"), LOSS)
    net.blobs["label"].data[2] = 7
    with pytest.raises(CaffeError, match="layer 'loss': label 7 in bottom 'label' is not one of the classes 0 to 2"):
        net.forward_layers()
