"""Half precision of nets with other inputs than images, measured on random values."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from caffe_compat import rng
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.weights import save
from yosinski.export import Exported, export_run

FILLED = 'weight_filler { type: "gaussian" std: 0.4 }'
IP = f"num_output: 6 {FILLED}"


def given(name: str, *sizes: int) -> str:
    dims = " ".join(f"dim: {size}" for size in sizes)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


def layer(name: str, kind: str, bottoms: str, param: str) -> str:
    wires = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {wires} top: "{name}" {param} }}\n'


NETS = {
    "vectors": given("x", 1, 9) + layer("y", "InnerProduct", "x", f"inner_product_param {{ {IP} }}"),
    "two_inputs": given("a", 1, 3, 5, 5)
    + given("b", 1, 4)
    + layer("c", "InnerProduct", "a", f"inner_product_param {{ {IP} }}")
    + layer("d", "InnerProduct", "b", f"inner_product_param {{ {IP} }}")
    + layer("sum", "Eltwise", "c d", ""),
    "sequence": given("words", 4, 2)
    + given("cont", 4, 2)
    + layer("e", "Embed", "words", f"embed_param {{ input_dim: 5 num_output: 3 {FILLED} }}")
    + layer("h", "LSTM", "e cont", f"recurrent_param {{ {IP} }}"),
    "fixed_batch": given("x", 4, 3, 2, 2) + layer("y", "InnerProduct", "x", f"inner_product_param {{ {IP} axis: 0 }}"),
    "no_inputs": layer("p", "Parameter", "", "parameter_param { shape { dim: 2 dim: 9 } }")
    + layer("y", "InnerProduct", "p", f"inner_product_param {{ {IP} }}"),
}


def half(folder: Path, name: str, **options: object) -> Exported:
    """The net exported in half precision."""
    net, weights = folder / "net.prototxt", folder / "net.caffemodel"
    net.write_text(f'name: "{name}"\n{NETS[name]}')
    rng.set_random_seed(2)
    save(Net(net, caffe_pb2.TEST), weights)
    return export_run(net, str(weights), precision="fp16", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "measured_on"),
    [
        ("vectors", "64 rows, random values"),
        ("two_inputs", "64 rows, random values"),
        ("sequence", "64 rows, random values"),
        ("fixed_batch", "12 images, random pixels"),
        ("no_inputs", "4 rows, random values"),
    ],
)
def test_any_inputs(tmp_path: Path, name: str, measured_on: str) -> None:
    done = half(tmp_path, name)
    props = {entry.key: entry.value for entry in onnx.load(done.onnx).metadata_props}
    assert (props["precision"], props["float16_measured_on"]) == ("float16", measured_on)
    assert done.precision is not None and done.precision.text.startswith(f"float16 on {measured_on.split(',')[0]} (")
    largest = 1000 if name in ("fixed_batch", "two_inputs") else 5  # of scores, which are large where pixels go in
    assert done.precision.max_delta <= largest * 1e-3
    assert (done.precision.max_delta > 0) == (name != "no_inputs")  # whose parameter is 0


def test_only_images_are_in_a_database(tmp_path: Path) -> None:
    with pytest.raises(
        CaffeError, match=r"one input of images; this one has 'words' \['T', 'N'\], 'cont' \['T', 'N'\]$"
    ):
        half(tmp_path, "sequence", db=tmp_path / "db")
    with pytest.raises(CaffeError, match=r"^preprocessing is for nets with one input of images; this one has 'x'$"):
        half(tmp_path, "vectors", with_preprocessing=True, image_size=(8, 8))
    assert not list(tmp_path.glob("*.onnx"))
