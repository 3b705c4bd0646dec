"""Whole nets against what BVLC Caffe 1.0 computed (tests/golden/nets): structure, every blob, every gradient."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe_compat as caffe

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "nets" / "index.json").read_text())["cases"]}
HERE = [name for name in CASES if name != "phases"]


def assert_structure(net: caffe.Net, want: dict[str, Any]) -> None:
    got = {
        "layer_names": list(net._layer_names),
        "layer_types": [layer.type for layer in net.layers],
        "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
        "params": {layer: [list(blob.data.shape) for blob in blobs] for layer, blobs in net.params.items()},
        "inputs": list(net.inputs),
        "outputs": list(net.outputs),
    }
    for key in got.keys() & want.keys():
        assert got[key] == want[key], key


@pytest.mark.parametrize("name", HERE)
def test_net_computes_what_caffe_computes(name: str, golden_root: Path, agree: Callable[..., None]) -> None:
    case = CASES[name]
    net = caffe.Net(
        f"nets/{case['dir']}/{case['prototxt']}", getattr(caffe, case["phase"]), weights=f"nets/{case['weights']}"
    )
    assert_structure(net, case)
    with np.load(f"nets/{case['npz']}") as file:
        arrays = dict(file)
    for blob in net.blobs:
        if f"in|{blob}" in arrays:
            net.blobs[blob].data[...] = arrays[f"in|{blob}"]
    if case["seed"] is not None:
        caffe.set_random_seed(case["seed"])
    net.forward()
    for blob in case["blobs"]:
        agree(f"blob {blob}", net.blobs[blob].data, arrays[f"blob|{blob}"], case)
    net.clear_param_diffs()
    net.backward()
    for key, want in arrays.items():
        if key.startswith("param_diff|"):
            _, layer, index = key.split("|")
            agree(key, net.params[layer][int(index)].diff, want, case)
    for blob in case["blobs"] if case["backward"] else []:
        agree(f"diff {blob}", net.blobs[blob].diff, arrays[f"diff|{blob}"], case)


def test_net_states_choose_the_layers_that_caffe_chooses(golden_root: Path) -> None:
    for state in json.loads(Path("nets", CASES["phases"]["states"]).read_text()):
        net = caffe.Net(
            "nets/phases/net.prototxt", getattr(caffe, state["phase"]), level=state["level"], stages=state["stages"]
        )
        assert_structure(net, state)
