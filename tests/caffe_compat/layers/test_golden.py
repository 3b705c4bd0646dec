"""Every layer against what BVLC Caffe 1.0 computed for it (tests/golden/layers)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe_compat as caffe

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "layers" / "index.json").read_text())["cases"]}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["type"] in caffe.layer_type_list()])
def test_layer_computes_what_caffe_computes(name: str, golden_root: Path, agree: Callable[..., None]) -> None:
    case = CASES[name]
    net = caffe.Net(f"layers/{name}.prototxt", getattr(caffe, case["phase"]))
    with np.load(f"layers/{name}.npz") as file:
        arrays = dict(file)
    bottoms, tops = [net.blobs[b] for b in case["bottoms"]], [net.blobs[t] for t in case["tops"]]
    params = [net.params[layer][index] for layer, index in case["params"]]
    for i, blob in enumerate(bottoms):
        blob.data[...] = arrays[f"bottom_{i}"]
    for i, blob in enumerate(params):
        blob.data[...] = arrays[f"param_{i}"]

    def check(prefix: str, blobs: list[Any], attribute: str) -> None:
        for i, blob in enumerate(blobs):
            if f"{prefix}_{i}" in arrays:
                agree(f"{prefix}_{i}", getattr(blob, attribute), arrays[f"{prefix}_{i}"], case)

    net.forward()
    check("top", tops, "data")
    check("param_after", params, "data")
    if not case["backward"]:
        return
    net.clear_param_diffs()
    if not case["loss"]:
        for i, blob in enumerate(tops):
            blob.diff[...] = arrays[f"top_diff_{i}"]
    net.backward()
    check("top_diff", tops if case["loss"] else [], "diff")
    check("bottom_diff", bottoms, "diff")
    check("param_diff", params, "diff")
