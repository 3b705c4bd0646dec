"""``caffe.Net`` as pycaffe's users know it, on LeNet with the values of BVLC Caffe 1.0."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe_compat as caffe
from caffe_compat import glog
from caffe_compat.errors import CaffeError

LENET, WEIGHTS = "nets/lenet/train.prototxt", "nets/lenet/weights.caffemodel"
pytestmark = pytest.mark.usefixtures("golden_root")


@pytest.fixture
def golden_arrays(golden: Path) -> dict[str, np.ndarray]:
    with np.load(golden / "nets/lenet/train_test.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def net(golden_arrays: dict[str, np.ndarray]) -> caffe.Net:
    net = caffe.Net(LENET, caffe.TEST, weights=WEIGHTS)
    for name in net.inputs:
        net.blobs[name].data[...] = golden_arrays[f"in|{name}"]
    return net


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((LENET, caffe.TEST, 0, [], WEIGHTS), {}),
        ((LENET, caffe.TEST), {"weights": WEIGHTS}),
        ((), {"network_file": LENET, "phase": caffe.TEST, "level": 0, "stages": ["a"], "weights": WEIGHTS}),
        ((Path(LENET), Path(WEIGHTS), caffe.TEST), {}),
    ],
)
def test_every_form_of_the_constructor(
    arguments: tuple[Any, ...], options: dict[str, Any], golden_arrays: dict[str, np.ndarray], agree: Any
) -> None:
    net = caffe.Net(*arguments, **options)
    out = net.forward(data=golden_arrays["in|data"], label=golden_arrays["in|label"])
    agree("loss", out["loss"], golden_arrays["blob|loss"], {})


def test_the_older_order_of_arguments_warns_as_caffe_does() -> None:
    stream = io.StringIO()
    handler = glog.attach(stream)
    try:
        caffe.Net(LENET, WEIGHTS, caffe.TEST)
    finally:
        glog.detach(handler)
    warnings = [line.split("] ", 1) for line in stream.getvalue().splitlines() if line.startswith("W")]
    assert [(where.split()[-1], text) for where, text in warnings] == [
        ("_caffe.cpp:139", "DEPRECATION WARNING - deprecated use of Python interface"),
        ("_caffe.cpp:140", 'Use this instead (with the named "weights" parameter):'),
        ("_caffe.cpp:142", f"Net('{LENET}', 1, weights='{WEIGHTS}')"),
    ]


def test_a_phase_that_is_missing_is_not_guessed() -> None:
    with pytest.raises(CaffeError, match="the phase is missing"):
        caffe.Net(LENET, WEIGHTS)


@pytest.mark.parametrize(("prototxt", "weights"), [("none.prototxt", WEIGHTS), (LENET, "none.caffemodel")])
def test_missing_files_are_named(prototxt: str, weights: str) -> None:
    with pytest.raises(RuntimeError, match="none"):
        caffe.Net(prototxt, caffe.TEST, weights=weights)


def test_names_are_those_of_caffe(golden: Path) -> None:
    (case,) = (
        c for c in json.loads((golden / "nets/index.json").read_text())["cases"] if c["name"] == "lenet/train_test"
    )
    net = caffe.Net(LENET, caffe.TEST)
    assert list(net._layer_names) == case["layer_names"]
    assert [layer.type for layer in net.layers] == case["layer_types"]
    assert {name: list(blob.shape) for name, blob in net.blobs.items()} == case["blobs"]
    assert list(net.blobs) == list(net._blob_names)
    assert {name: [list(blob.shape) for blob in blobs] for name, blobs in net.params.items()} == case["params"]
    assert (net.inputs, net.outputs) == (case["inputs"], case["outputs"])
    assert net.layer_dict["conv1"] is net.layers[3]
    assert len(net.layers[3].blobs) == 2
    assert net.top_names["conv1"] == ["conv1"]
    assert net.top_names["label_label_0_split"] == ["label_label_0_split_0", "label_label_0_split_1"]
    assert net.bottom_names["loss"] == ["ip2_ip2_0_split_0", "label_label_0_split_0"]
    assert net.blob_loss_weights == {name: float(name == "loss") for name in net.blobs}
    names = net._blob_names
    assert [names[i] for i in net._inputs] == net.inputs
    assert [names[i] for i in net._outputs] == net.outputs
    loss = net._layer_names.index("loss")
    assert [names[i] for i in net._bottom_ids(loss)] == net.bottom_names["loss"]
    assert [names[i] for i in net._top_ids(loss)] == ["loss"]
    assert net._blob_loss_weights[names.index("loss")] == 1


def test_lookups_in_a_loop_cost_nothing(net: caffe.Net) -> None:
    assert net.blobs is net.blobs
    assert net.params is net.params
    assert net.params["conv1"][0] is net.params["conv1"][0]


def test_forward_returns_outputs_and_the_blobs_asked_for(
    net: caffe.Net, golden_arrays: dict[str, np.ndarray], agree: Any
) -> None:
    out = net.forward(["conv1", "ip1"])
    assert sorted(out) == ["accuracy", "conv1", "ip1", "loss"]
    for name, value in out.items():
        agree(name, value, golden_arrays[f"blob|{name}"], {})
    again = net.forward(blobs=["ip1"])
    assert out["ip1"].ctypes.data == again["ip1"].ctypes.data  # the blob's memory, not a copy


def test_forward_in_parts(net: caffe.Net, golden_arrays: dict[str, np.ndarray], agree: Any) -> None:
    assert list(net.forward(end="pool1")) == ["pool1"]
    assert not net.blobs["ip2"].data.any()
    assert sorted(net.forward(start="conv2", end="loss", blobs=["ip2"])) == ["ip2", "loss"]
    agree("ip2", net.blobs["ip2"].data, golden_arrays["blob|ip2"], {})
    net.blobs["ip2"].data[...] = 0
    out = net.forward(start="ip2_ip2_0_split")
    assert out["loss"] == pytest.approx(np.log(10))
    assert net._forward(0, len(net.layers) - 1) == pytest.approx(float(golden_arrays["blob|loss"]), rel=1e-5)


def test_backward_in_parts(net: caffe.Net, golden_arrays: dict[str, np.ndarray], agree: Any) -> None:
    net.forward()
    assert list(net.backward()) == net.inputs
    agree("conv1", net.params["conv1"][0].diff, golden_arrays["param_diff|conv1|0"], {})
    agree("pool2", net.blobs["pool2"].diff, golden_arrays["diff|pool2"], {})

    net.clear_param_diffs()
    assert not net.params["conv1"][0].diff.any()
    assert sorted(net.backward(end="ip1", diffs=["ip2"])) == ["ip2", "pool2"]
    assert not net.params["conv1"][0].diff.any()
    net._backward(net._layer_names.index("pool2"), 0)
    agree("conv1", net.params["conv1"][0].diff, golden_arrays["param_diff|conv1|0"], {})


def test_a_gradient_given_for_the_outputs_takes_the_place_of_the_losses(net: caffe.Net) -> None:
    net.forward()
    net.backward()
    once = net.params["ip2"][0].diff.copy()
    net.clear_param_diffs()
    net.forward()
    net.backward(loss=np.float32(3), accuracy=np.float32(0))
    np.testing.assert_allclose(net.params["ip2"][0].diff, 3 * once, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda net: net.forward(data=np.zeros((4, 1, 28, 28))),
            "Input blob arguments do not match net inputs. .*label",
        ),
        (
            lambda net: net.forward(data=np.zeros((3, 1, 28, 28)), label=np.zeros(4)),
            r"Input is not batch sized: 'data' is \[3, 1, 28, 28\], expected \[4, 1, 28, 28\]",
        ),
        (
            lambda net: net.forward(data=np.zeros((4, 1, 9, 9)), label=np.zeros(4)),
            r"Input does not fit: 'data' is \[4, 1, 9, 9\], expected \[4, 1, 28, 28\]",
        ),
        (lambda net: net.backward(ip2=np.zeros((4, 10))), "Top diff arguments do not match net outputs"),
        (lambda net: net.forward(start="conv9"), "net 'LeNet' has no layer 'conv9'; it has data, "),
        (lambda net: net.backward(end="conv9"), "net 'LeNet' has no layer 'conv9'"),
        (lambda net: net.forward(blobs=["conv9"]), "net 'LeNet' has no blob 'conv9'; it has data, "),
        (lambda net: net.backward(diffs=["conv9"]), "net 'LeNet' has no blob 'conv9'"),
    ],
)
def test_wrong_arguments_are_named(net: caffe.Net, call: Any, message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        call(net)


def test_any_number_of_items_goes_through_in_batches(net: caffe.Net) -> None:
    data = np.random.default_rng(0).random((10, 1, 28, 28), np.float32)
    label = np.arange(10)
    out = net.forward_all(data=data, label=label, blobs=["ip2"])
    assert out["ip2"].shape == (10, 10)
    assert out["loss"].shape == (3,)  # one for each batch
    for i in (0, 5, 9):
        net.forward(data=np.repeat(data[i : i + 1], 4, 0), label=np.zeros(4))
        np.testing.assert_allclose(out["ip2"][i], net.blobs["ip2"].data[0], rtol=1e-4, atol=1e-5)


def test_gradients_of_any_number_of_items() -> None:
    definition = """force_backward: true
        layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "p" type: "Power" bottom: "x" top: "y" power_param { power: 2 } }"""
    net = caffe.Net(caffe.proto.text.parse(definition, caffe.proto.caffe_pb2.NetParameter), caffe.TEST)
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    outputs, diffs = net.forward_backward_all(x=x, y=np.ones((5, 3)), blobs=["x"], diffs=["y"])
    np.testing.assert_array_equal(outputs["y"], x**2)
    np.testing.assert_array_equal(outputs["x"], x)
    np.testing.assert_array_equal(diffs["x"], 2 * x)
    np.testing.assert_array_equal(diffs["y"], np.ones((5, 3)))


def test_callbacks_see_every_layer_and_may_change_what_flows(net: caffe.Net) -> None:
    plain = float(net.forward()["loss"])
    net.backward()
    gradient = net.params["conv1"][0].diff.copy()
    calls: list[tuple[str, int]] = []
    for name in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(net, name)(lambda layer, name=name: calls.append((name, layer)))
    net.clear_param_diffs()
    assert net.forward()["loss"] == plain
    net.backward()
    np.testing.assert_array_equal(net.params["conv1"][0].diff, gradient)
    count = len(net.layers)
    assert calls[: 2 * count : 2] == [("before_forward", i) for i in range(count)]
    assert calls[1 : 2 * count : 2] == [("after_forward", i) for i in range(count)]
    assert calls[2 * count :: 2] == [("before_backward", i) for i in reversed(range(count))]
    assert calls[2 * count + 1 :: 2] == [("after_backward", i) for i in reversed(range(count))]

    ip2 = net._layer_names.index("ip2")
    net.after_forward(lambda layer: net.blobs["ip2"].data.fill(0) if layer == ip2 else None)
    assert net.forward()["loss"] == pytest.approx(np.log(10))


def test_reshape_reaches_every_blob(net: caffe.Net) -> None:
    net.blobs["data"].reshape(1, 1, 28, 28)
    net.blobs["label"].reshape(1)
    net.reshape()
    blob = net.blobs["conv1"]
    assert blob.shape == (1, 8, 24, 24)
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (1, 8, 24, 24, 8 * 24 * 24)
    assert net.forward(data=np.zeros((1, 1, 28, 28)), label=np.zeros(1))["loss"].shape == ()


def test_weights_are_shared_copied_and_saved(net: caffe.Net, tmp_path: Path) -> None:
    other = caffe.Net(LENET, caffe.TRAIN)
    other.share_with(net)
    net.params["ip2"][1].data[...] = 7
    assert (other.params["ip2"][1].data == 7).all()

    path = str(tmp_path / "saved")  # neither format shows in the name
    net.save(path)
    net.save_hdf5(path + "_hdf5")
    for load in (lambda n: n.copy_from(path), lambda n: n.load_hdf5(path + "_hdf5")):
        fresh = caffe.Net(LENET, caffe.TEST)
        load(fresh)
        for name, blobs in net.params.items():
            for mine, theirs in zip(fresh.params[name], blobs, strict=True):
                np.testing.assert_array_equal(mine.data, theirs.data)
    with pytest.raises(CaffeError, match=r"saved: not a .caffemodel.h5"):
        net.load_hdf5(path)


def test_settings_that_would_need_several_processes_are_refused() -> None:
    assert (caffe.solver_count(), caffe.solver_rank(), caffe.has_nccl()) == (1, 0, False)
    caffe.set_solver_count(1)
    caffe.set_solver_rank(0)
    caffe.set_multiprocess(False)
    with pytest.raises(CaffeError, match=r"set_solver_count\(2\).*not supported; expected 1"):
        caffe.set_solver_count(2)


def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(CaffeError, match=r"GPU 99: torch sees \d+ GPU"):
        caffe.set_device(99)


def test_timer_and_log(capsys: pytest.CaptureFixture[str]) -> None:
    timer, began = caffe.Timer(), time.perf_counter()
    timer.start()
    time.sleep(0.01)
    timer.stop()
    assert 9 < timer.ms <= 1000 * (time.perf_counter() - began)
    for level, said in ((-1, "_caffe.cpp:52] hello\n"), (0, "_caffe.cpp:52] hello\n"), (1, ""), (9, "")):
        caffe.init_log(level, True)
        try:
            caffe.log("hello")
        finally:
            glog.detach(glog.logger.handlers[-1])
        err = capsys.readouterr().err
        assert err.endswith(said) and bool(err) == bool(said)
