"""Studies that users write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.proto import read_net
from yosinski.networks import write_nets
from yosinski.study_file import read_study

NET = """
name: "own"
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN } data_param { batch_size: 2 } }
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST } data_param { batch_size: 2 } }
layer { name: "one" type: "InnerProduct" bottom: "data" top: "one" inner_product_param { num_output: 3 } }
layer { name: "two" type: "InnerProduct" bottom: "one" top: "two" inner_product_param { num_output: 3 } }
layer { name: "three" type: "InnerProduct" bottom: "two" top: "three" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "three" bottom: "label" top: "loss" }
"""
OWN = {"net": "own.prototxt", "layers": ["one", "two", "three"], "solver": "own_solver.prototxt"}


def study(folder: Path, **content: Any) -> Path:
    (folder / "own.prototxt").write_text(NET)
    (folder / "own_solver.prototxt").write_text('base_lr: 0.5 lr_policy: "fixed" max_iter: 7')
    path = folder / "mine.json"
    path.write_text(json.dumps(content))
    return path


def test_nets_with_what_they_start_from(tmp_path: Path) -> None:
    found = read_study(study(tmp_path, nets=["transfer+"], splits=[4, "natman"], targets=["B"], cuts=[2]))
    names = [spec.original_name for spec in found.specs]
    assert names == ["half4A", "halfnatmanA", "transfer-ft4A4B_1_2", "transfer-ftnatmanAB_1_2"]
    assert (found.name, found.scale.data) == ("mine", "data")


def test_all_families_by_default(tmp_path: Path) -> None:
    families = ["base", "selffer", "selffer+", "transfer", "transfer+", "random", "reduced", "whole"]
    found = read_study(study(tmp_path, net="mini", nets=families, data="elsewhere"))
    assert len(found.specs) == (2 + 4 * 7 * 2) + 7 + 12 + 1
    assert found.specs[0].sources(found.scale).train == "elsewhere/half0A_train.index"


def test_own_net(tmp_path: Path) -> None:
    found = read_study(study(tmp_path, nets=["base", "selffer"], cuts=[1], **OWN))
    files = write_nets(tmp_path / "out", found.specs, found.scale)
    written = ["half0A", "half0B", "solver", "transfer0A0A_1_1", "transfer0B0B_1_1"]
    assert sorted(file.stem for file in files) == written
    net = read_net(tmp_path / "out" / "transfer0B0B_1_1.prototxt")
    assert [layer.name for layer in net.layer] == ["d", "d", "one", "two-new", "three-new", "loss"]
    assert [p.lr_mult for p in net.layer[2].param] == [0, 0] and not net.layer[3].param
    assert net.layer[0].data_param.source == "data/half0B_train.index"
    assert "base_lr: 0.5" in (tmp_path / "out" / "solver.prototxt").read_text()


WRONG = [
    ({}, '"nets": expected a list of families base'),
    ({"nets": ["bass"]}, '"nets": "bass"; expected families base'),
    ({"nets": ["base", "base"]}, '"nets": "base"; expected families .*, each once'),
    ({"nets": "base"}, '"nets": expected a list'),
    ({"nets": [["base"]]}, '"nets": .*expected families'),
    ({"nets": ["base"], "colour": 1}, "key 'colour'; expected one of name"),
    ({"nets": ["transfer"], "cuts": [8]}, '"cuts": 8; expected layers from 1 to 7'),
    ({"nets": ["transfer"], "cuts": [True]}, '"cuts": true'),
    ({"nets": ["base"], "splits": [-1]}, '"splits": -1; expected seeds'),
    ({"nets": ["base"], "net": ""}, '"net": expected a text'),
    ({"nets": ["base"], "net": "mini", "layers": ["one"]}, "go with a net of your own"),
    ({"nets": ["base"], "net": "none.prototxt", "layers": ["one"]}, "none.prototxt"),
    ({"nets": ["base"], **OWN, "layers": ["one", "four"]}, "own.prototxt: layer 'four': expected once"),
    ({"nets": ["base"], **OWN, "layers": ["one"]}, "expected two or more names"),
    ({"nets": ["selffer"], **OWN, "cuts": [3]}, '"cuts": 3; expected layers from 1 to 2'),
    ({"nets": ["base"], **OWN, "solver": None}, '"solver": expected a text, got null'),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_wrong_study(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    with pytest.raises(CaffeError, match=message):
        read_study(study(tmp_path, **content))


def test_no_json(tmp_path: Path) -> None:
    path = study(tmp_path)
    path.write_text("{nets")
    with pytest.raises(CaffeError, match=r"mine\.json: not JSON"):
        read_study(path)
    path.write_text("[]")
    with pytest.raises(CaffeError, match="expected one object"):
        read_study(path)
    with pytest.raises(CaffeError, match="cannot read the study: No such file"):
        read_study(tmp_path / "none.json")
