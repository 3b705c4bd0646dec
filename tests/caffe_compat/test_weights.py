"""Parameters in files: what is copied, what is refused, and files that real Caffe wrote."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import caffe_compat as caffe
from caffe_compat import weights
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, raw_blobs, text

DEFINITION = """
name: "Small"
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "one" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 4 FILLER } }
layer { name: "two" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 5 FILLER } }
""".replace("FILLER", 'weight_filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 }')


def build(definition: str = DEFINITION, seed: int = 1) -> Net:
    caffe.set_random_seed(seed)
    return Net(text.parse(definition, caffe_pb2.NetParameter), caffe_pb2.TEST)


def values(net: Net) -> dict[str, list[np.ndarray]]:
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def assert_equal(a: Net, b: Net) -> None:
    for name, blobs in values(a).items():
        for left, right in zip(blobs, values(b)[name], strict=True):
            assert np.array_equal(left, right)


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_what_is_written_is_read_back_to_the_bit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    net, other = build(seed=1), build(seed=2)
    weights.save(net, path)
    other.copy_from(path)
    assert_equal(net, other)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_second_writing_is_byte_for_byte_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "a.caffemodel", tmp_path / "b.caffemodel"
    net, other = build(seed=1), build(seed=2)
    weights.save(net, first)
    other.copy_from(first)
    weights.save(other, second)
    assert first.read_bytes() == second.read_bytes()


def test_the_file_is_a_plain_net_parameter(tmp_path: Path) -> None:
    net = build()
    weights.save(net, tmp_path / "net.caffemodel")
    message = caffe_pb2.NetParameter.FromString((tmp_path / "net.caffemodel").read_bytes())
    assert message.name == "Small"
    assert [layer.type for layer in message.layer] == ["Input", "InnerProduct", "InnerProduct"]
    blob = message.layer[2].blobs[0]
    assert list(blob.shape.dim) == [5, 4]
    assert np.array_equal(np.array(blob.data, np.float32).reshape(5, 4), net.params["two"][0].data)


def test_a_parameter_without_axes_is_written_without_a_shape() -> None:
    """As Caffe writes it; OpenCV refuses a shape that is there and empty."""
    rule = 'layer { name: "p" type: "PReLU" bottom: "b" top: "p" prelu_param { channel_shared: true FILLER } }'
    net = build(DEFINITION + rule.replace("FILLER", "filler { value: 0.125 }"))
    (blob,) = net.to_proto().layer[3].blobs
    assert not blob.HasField("shape")
    assert raw_blobs.to_array(blob) == np.float32(0.125)
    other = build(DEFINITION + rule.replace("FILLER", ""))
    other.copy_from(net.to_proto())
    assert_equal(net, other)


def test_diffs_are_written_on_request() -> None:
    net = build()
    net.params["one"][0].diff[...] = 3
    message = net.to_proto(write_diff=True)
    assert np.all(raw_blobs.to_array(message.layer[1].blobs[0], diff=True) == 3)
    assert not raw_blobs.to_array(message.layer[2].blobs[0], diff=True).any()


def test_diffs_are_read_where_a_file_has_them(tmp_path: Path) -> None:
    """Blob::FromProto; what snapshot_diff is for."""
    net, other = build(), build(seed=2)
    net.params["one"][0].diff[...] = np.arange(12).reshape(4, 3)
    weights.save(net, tmp_path / "net.caffemodel", diff=True)
    other.copy_from(tmp_path / "net.caffemodel")
    assert other.params["one"][0].diff.tolist() == np.arange(12).reshape(4, 3).tolist()
    other.copy_from(net.to_proto())
    assert other.params["one"][0].diff[3, 2] == 11  # without diffs, those at hand stay


def test_of_several_layers_of_one_name_the_first_is_meant() -> None:
    twice = build(DEFINITION.replace('"two"', '"one"').replace("dim: 3", "dim: 4").replace("5", "4"))
    source = build(DEFINITION.replace("dim: 3", "dim: 4").replace('"two"', '"elsewhere"'), seed=3)
    before = twice.layers[2].blobs[0].data.copy()
    twice.copy_from(source.to_proto())
    assert np.array_equal(twice.layers[1].blobs[0].data, source.params["one"][0].data)
    assert np.array_equal(twice.layers[2].blobs[0].data, before)
    twice.share_with(source)
    assert np.shares_memory(twice.layers[1].blobs[0].data, source.params["one"][0].data)


def test_layers_are_matched_by_name_and_others_keep_their_values() -> None:
    source = build(DEFINITION.replace('"two"', '"elsewhere"'), seed=1)
    target = build(seed=2)
    before = values(target)
    target.copy_from(source.to_proto())
    assert np.array_equal(target.params["one"][0].data, source.params["one"][0].data)
    assert np.array_equal(target.params["two"][0].data, before["two"][0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("num_output: 5", "num_output: 6"),
            "cannot copy parameter 0 from the NetParameter: its shape is [6, 4], the net's [5, 4]",
        ),
        (("num_output: 5", "num_output: 5 bias_term: false"), "has 1 parameters for this layer, the net 2"),
    ],
)
def test_a_layer_that_does_not_fit_is_an_error_and_nothing_is_copied(change: tuple[str, str], message: str) -> None:
    source, target = build(DEFINITION.replace(*change), seed=1), build(seed=2)
    before = values(target)
    with pytest.raises(CaffeError) as error:
        target.copy_from(source.to_proto())
    assert "layer 'two'" in str(error.value)
    assert message in str(error.value)
    assert np.array_equal(target.params["one"][0].data, before["one"][0])


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"name: 'a prototxt'", b"\x0a\xff\xff\xff\xff\x0f"])
@pytest.mark.parametrize("suffix", [".caffemodel", ".h5"])
def test_a_damaged_file_is_one_line_that_names_it(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(CaffeError) as error:
        build().copy_from(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("suffix", "name"), [(".caffemodel.h5", "net.caffemodel"), (".caffemodel", "net.h5")])
def test_weights_are_read_by_content(tmp_path: Path, suffix: str, name: str) -> None:
    """Net::CopyTrainedLayersFrom asks H5Fis_hdf5."""
    net, other = build(seed=1), build(seed=2)
    weights.save(net, tmp_path / f"net{suffix}")
    (tmp_path / f"net{suffix}").rename(tmp_path / name)
    other.copy_from(tmp_path / name)
    assert_equal(net, other)


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    weights.save(build(), path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CaffeError, match=r"net\.caffemodel"):
        build().copy_from(path)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CaffeError, match=r"nowhere\.caffemodel"):
        build().copy_from("nowhere.caffemodel")


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_old_models_with_four_axes_for_everything(golden: Path, version: str) -> None:
    with np.load(golden / "upgrade" / "binary" / f"{version}.npz") as file:
        arrays = dict(file)
    net = caffe.Net(str(golden / "upgrade" / "binary" / "net.prototxt"), caffe.TEST)
    net.copy_from(golden / "upgrade" / "binary" / f"{version}.caffemodel")
    found = 0
    for key, want in arrays.items():
        if key.startswith("orig|") and key.count("|") == 2:
            _, layer, index = key.split("|")
            assert np.array_equal(net.params[layer][int(index)].data, want)
            found += 1
    assert found


def test_a_shared_parameter_stands_with_its_owner_in_hdf5(tmp_path: Path) -> None:
    definition = DEFINITION.replace('name: "one"', 'name: "one" param { name: "w" }').replace(
        'name: "two"', 'name: "two" param { name: "w" }'
    )
    definition = definition.replace("dim: 3", "dim: 4").replace("num_output: 5", "num_output: 4")
    net, other = build(definition, seed=1), build(definition, seed=2)
    weights.save(net, tmp_path / "net.caffemodel.h5", diff=True)
    other.copy_from(tmp_path / "net.caffemodel.h5")
    assert_equal(net, other)
    with h5py.File(tmp_path / "net.caffemodel.h5") as file:
        assert (sorted(file["data/one"]), sorted(file["data/two"])) == (["0", "1"], ["1"])
        assert (sorted(file["diff/one"]), sorted(file["diff/two"])) == (["0", "1"], ["0", "1"])


def test_layer_names_with_a_slash_work_in_hdf5(tmp_path: Path) -> None:
    definition = DEFINITION.replace('"one"', '"block/one"').replace('"two"', '"block/two"')
    net, other = build(definition, seed=1), build(definition, seed=2)
    weights.save(net, tmp_path / "net.caffemodel.h5")
    other.copy_from(tmp_path / "net.caffemodel.h5")
    assert_equal(net, other)
