"""Every layer against what BVLC Caffe 1.0 computed for it (tests/golden/layers)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe_compat as caffe

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "layers" / "index.json").read_text())["cases"]}
KNOWN = [name for name, case in CASES.items() if case["type"] in caffe.layer_type_list()]


def assert_close(what: str, got: np.ndarray, want: np.ndarray, case: dict[str, Any]) -> None:
    """Within 1e-5 of the array's largest value, or 20 times what Caffe itself moves with another BLAS kernel.

    Huge values are markers, such as -FLT_MAX for an empty window, and nan stands for itself: those are exact.
    """
    got = np.asarray(got, np.float64)
    assert got.shape == want.shape, what
    ordinary = np.abs(want) < 1e30
    scale = np.abs(want[ordinary]).max(initial=0.0)
    noise = 20 * min(case["noise"]["max_abs"], case["noise"]["max_rel_to_array_max"] * scale)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= max(1e-5 * scale, noise)
    right = np.where(ordinary, near, (got == want) | (np.isnan(got) & np.isnan(want)))
    assert right.all(), f"{what}: {np.count_nonzero(~right)} of {right.size} differ"


@pytest.mark.parametrize("name", KNOWN)
def test_layer_computes_what_caffe_computes(name: str, golden_root: Path) -> None:
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
                assert_close(f"{prefix}_{i}", getattr(blob, attribute), arrays[f"{prefix}_{i}"], case)

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
