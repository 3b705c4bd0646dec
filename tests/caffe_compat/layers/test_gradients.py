"""The gradient of every layer against finite differences, in double precision, on the golden cases' definitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from caffe_compat import rng
from caffe_compat.layers.registry import layer_type_list
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

GOLDEN = Path(__file__).parents[2] / "golden"
STEP = 1e-5
TOLERANCE = 1e-6  # of an array's largest gradient
ELEMENTS = 10  # checked in an array, picked at random

# Where Caffe's gradient is deliberately not the derivative, or the derivative does not exist.
EXCLUDED = {
    "relu_zero": "at the kink",
    "relu_leaky_zero": "at the kink",
    "eltwise_max_ties": "at ties one bottom takes all",
    "softmaxloss_saturated": "the loss is bounded, its gradient goes on",
    "multinomial_tiny_prob": "the loss is bounded, its gradient goes on",
    "contrastive": "the gradient divides by distance + 1e-4",
    "contrastive_margin": "the gradient divides by distance + 1e-4",
    "mvn_eps": "the gradient leaves eps out",
    "combo_shared_params": "names the same parameters twice",
}
WITHOUT_GRADIENT = {
    *("Data", "DummyData", "HDF5Data", "HDF5Output", "ImageData", "Input", "MemoryData", "WindowData"),  # ends
    *("Accuracy", "ArgMax", "Threshold"),  # steps
    "Python",  # the user's; see test_python.py
}
CASES = {
    case["name"]: case
    for case in json.loads((GOLDEN / "layers" / "index.json").read_text())["cases"]
    if case["backward"] and case["name"] not in EXCLUDED
}


def test_every_differentiable_type_is_checked() -> None:
    assert {case["type"] for case in CASES.values()} == set(layer_type_list()) - WITHOUT_GRADIENT


@pytest.mark.parametrize("name", CASES)
def test_gradient(name: str, golden_root: Path) -> None:
    case = CASES[name]
    with np.load(f"layers/{name}.npz") as file:
        arrays = {key: torch.from_numpy(value.astype(np.float64)) for key, value in file.items()}
    net = Net(f"layers/{name}.prototxt", getattr(caffe_pb2, case["phase"])).double()
    bottoms, tops = [net.blobs[b] for b in case["bottoms"]], [net.blobs[t] for t in case["tops"]]
    params = [net.params[layer][index] for layer, index in case["params"]]

    def forward() -> list[Tensor]:
        rng.set_random_seed(1)  # Dropout drops the same each time
        for i, blob in enumerate(bottoms):
            blob.tensor = arrays[f"bottom_{i}"].clone()
        for i, blob in enumerate(params):
            blob.parameter.data = arrays[f"param_{i}"].clone()
        net.forward_layers()
        return [blob.tensor.clone() for blob in tops]

    forward()
    net.clear_param_diffs()
    for i, blob in enumerate(tops):
        if not case["loss"]:
            blob.grad = arrays[f"top_diff_{i}"]
    weights = [blob.grad.clone() for blob in tops]
    if name.endswith("_expose"):
        weights = weights[:1]  # Caffe takes no gradient from the last hidden states
    net.backward_layers()
    got = {f"bottom_{i}": blob.grad.clone() for i, blob in enumerate(bottoms) if f"bottom_diff_{i}" in arrays}
    if case["type"] != "BatchNorm":  # its parameters are statistics, which nobody learns
        got |= {f"param_{i}": blob.grad.clone() for i, blob in enumerate(params) if f"param_diff_{i}" in arrays}
    assert got

    def objective() -> float:
        return sum(float((top * weight).sum()) for top, weight in zip(forward(), weights))

    for key, gradient in got.items():
        values, flat = arrays[key].view(-1), gradient.reshape(-1)
        picked = np.random.default_rng(0).permutation(len(flat))[:ELEMENTS]
        want = np.array([difference(objective, values, int(i)) for i in picked])
        scale = max(np.abs(want).max(), float(flat.abs().max()))
        np.testing.assert_allclose(flat.numpy()[picked], want, rtol=0, atol=TOLERANCE * scale + 1e-9, err_msg=key)


def difference(objective: Callable[[], float], values: Tensor, index: int) -> float:
    """The slope of the objective along one element."""
    middle = float(values[index])
    sides = []
    for offset in (STEP, -STEP):
        values[index] = middle + offset
        sides.append(objective())
    values[index] = middle
    return (sides[0] - sides[1]) / (2 * STEP)
