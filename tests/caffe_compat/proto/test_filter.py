"""Layers by phase, level and stage: against Caffe's own choices, and rule by rule with its log lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, filter_net, read_net, text

PHASES = Path(__file__).parents[2] / "golden" / "nets" / "phases"
STATES = json.loads((PHASES / "states.json").read_text())


def parse_state(source: str) -> Any:
    return text.parse(source, caffe_pb2.NetState)


@pytest.mark.parametrize("want", STATES, ids=lambda s: f"{s['phase']}-{s['level']}-{'+'.join(s['stages'])}")
def test_the_layers_that_caffe_chooses(want: dict[str, Any]) -> None:
    net = read_net(PHASES / "net.prototxt")
    state = caffe_pb2.NetState(phase=want["phase"], level=want["level"], stage=want["stages"])
    names = [layer.name for layer in filter_net(net, state).layer]
    assert names == [name for name in want["layer_names"] if not name.endswith("_split")]
    assert len(net.layer) == 18  # the original is untouched


@pytest.mark.parametrize(
    ("state", "rule", "line"),
    [
        ("phase: TRAIN", "phase: TRAIN", ""),
        ("phase: TRAIN", "phase: TEST", "296] The NetState phase (0) differed from the phase (1)"),
        ("", "phase: TRAIN", "296] The NetState phase (1) differed from the phase (0)"),
        ("level: 2", "min_level: 2", ""),
        ("level: 1", "min_level: 2", "306] The NetState level (1) is above the min_level (2)"),
        ("level: 2", "max_level: 2", ""),
        ("level: 3", "max_level: 2", "316] The NetState level (3) is above the max_level (2)"),
        ("stage: 'a' stage: 'b'", "stage: 'b' stage: 'a'", ""),
        ("stage: 'a'", "stage: 'a' stage: 'b'", "332] The NetState did not contain stage 'b'"),
        ("stage: 'a'", "not_stage: 'b'", ""),
        ("stage: 'a'", "not_stage: 'b' not_stage: 'a'", "347] The NetState contained a not_stage 'a'"),
        ("", "", ""),
    ],
)
def test_a_rule_is_met_or_the_log_says_why_not(state: str, rule: str, line: str, log: Any) -> None:
    for kind, kept in (("include", not line), ("exclude", bool(line))):
        net = text.parse(f"layer {{ name: 'x' {kind} {{ {rule} }} }}", caffe_pb2.NetParameter)
        assert bool(filter_net(net, parse_state(state)).layer) == kept
    assert log.lines == ([f"I net.cpp:{line} specified by a rule in layer x"] * 2 if line else [])


def test_rules_of_one_kind_are_alternatives() -> None:
    net = text.parse(
        """
        layer { include { stage: 'a' } include { stage: 'b' } }
        layer { exclude { stage: 'a' } exclude { stage: 'b' } }
        """,
        caffe_pb2.NetParameter,
    )
    for stage, want in (("a", [0]), ("b", [0]), ("c", [1])):
        kept = filter_net(net, parse_state(f"stage: '{stage}'")).layer
        assert [list(net.layer).index(layer) for layer in kept] == want


def test_rules_of_both_kinds_are_refused() -> None:
    net = text.parse("layer { name: 'x' include { } exclude { } }", caffe_pb2.NetParameter)
    with pytest.raises(CaffeError, match=r"^layer 'x': specify either include rules or exclude rules; not both$"):
        filter_net(net, caffe_pb2.NetState())
