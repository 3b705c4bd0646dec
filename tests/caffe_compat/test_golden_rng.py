"""Nets that draw random numbers, bit for bit as BVLC Caffe 1.0 on a CPU (tests/golden/rng)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import caffe_compat as caffe

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "rng" / "index.json").read_text())["cases"]}


def names(*kinds: str) -> list[str]:
    """Cases of these kinds whose layers we have."""
    known = set(caffe.layer_type_list())
    chosen = [name for name, case in CASES.items() if case["kind"] in kinds]
    return [name for name in chosen if set(re.findall(r'type: "([A-Z]\w*)"', prototxt(name).read_text())) <= known]


def prototxt(name: str) -> Path:
    return GOLDEN / "rng" / CASES[name].get("prototxt", f"{name}.prototxt")


def arrays_of(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "rng" / f"{name}.npz") as file:
        return dict(file)


def assert_same_bits(got: np.ndarray, want: np.ndarray) -> None:
    """Equal in every bit, so that -0.0 is not 0.0."""
    got = np.asarray(got, np.float32)
    assert got.shape == want.shape
    assert np.array_equal(got.view(np.uint32), np.asarray(want, np.float32).view(np.uint32))


def build(name: str) -> caffe.Net:
    text = prototxt(name).read_text()
    return caffe.Net(str(prototxt(name)), caffe.TEST if "phase: TEST" in text.split("layer")[0] else caffe.TRAIN)


@pytest.mark.parametrize("name", names("net"))
def test_parameters_are_filled_with_the_draws_that_caffe_makes(name: str, golden_root: Path) -> None:
    arrays = arrays_of(name)
    for seed in CASES[name]["seeds"]:
        suffix = f"_seed{seed}" if len(CASES[name]["seeds"]) > 1 else ""
        caffe.set_random_seed(seed)
        net = build(name)
        found = 0
        for layer, blobs in net.params.items():
            for index, blob in enumerate(blobs):
                assert_same_bits(blob.data, arrays[f"param_{layer}_{index}{suffix}"])
                found += 1
        assert found
        assert caffe.rng_next_u32() == int(arrays[f"next_u32{suffix}"][0])


@pytest.mark.parametrize("name", names("dropout"))
def test_dropout_draws_the_masks_that_caffe_draws(name: str, golden_root: Path) -> None:
    arrays, net = arrays_of(name), build(name)
    caffe.set_random_seed(CASES[name]["seed"])
    for k in range(3):
        net.blobs["x"].data[...] = arrays[f"bottom_0_f{k}"]
        net.forward()
        assert_same_bits(net.blobs["y"].data, arrays[f"top_0_f{k}"])
        net.blobs["y"].diff[...] = arrays[f"top_diff_0_f{k}"]
        net.backward()
        assert_same_bits(net.blobs["x"].diff, arrays[f"bottom_diff_0_f{k}"])
    assert caffe.rng_next_u32() == int(arrays["next_u32"][0])


def test_dummy_data_fills_constants_once_and_the_others_at_every_forward(golden_root: Path) -> None:
    arrays = arrays_of("dummydata")
    caffe.set_random_seed(CASES["dummydata"]["seed"])
    net = build("dummydata")
    for suffix in ("setup", "f0", "f1", "f2"):
        if suffix != "setup":
            net.forward()
        for blob in "abc":
            assert_same_bits(net.blobs[blob].data, arrays[f"{blob}_{suffix}"])


@pytest.mark.parametrize("name", names("data"))
def test_data_layer_crops_and_mirrors_as_caffe_does(name: str, golden_root: Path) -> None:
    arrays = arrays_of(name)
    caffe.set_random_seed(CASES[name]["seed"])
    net = build(name)
    assert_same_bits(net.params["f"][0].data, arrays["param_f_0"])
    for k in range(CASES[name]["batches"]):
        net.forward()
        assert_same_bits(net.blobs["data"].data, 0.5 * arrays[f"data_b{k}"])
        assert_same_bits(net.blobs["label"].data, arrays[f"label_b{k}"])
