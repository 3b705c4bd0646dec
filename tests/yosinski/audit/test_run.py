"""Which original a run answers to, and what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffe_compat.errors import CaffeError
from yosinski.audit.rules import PACKAGED, read_rules
from yosinski.audit.run import Run, find_role, split_in


@pytest.mark.parametrize(
    ("name", "split", "original", "family", "half"),
    [
        ("half0A", None, "half0A", "base", "0A"),
        ("base_A", "0", "half0A", "base", "0A"),
        ("base_B", "natman", "halfnatmanB", "base", "natmanB"),
        ("transfer_A3B", "1", "transfer1A1B_1_3", "transfer", "1B"),
        ("transfer_A3B+", "1", "transfer-ft1A1B_1_3", "transfer+", "1B"),
        ("selffer_A5A", "2", "transfer2A2A_1_5", "selffer", "2A"),
        ("transfer_B7A", "natman", "transfernatmanBA_1_7", "transfer", "natmanA"),
        ("random_5", None, "nolearn_1_5", "random", "whole"),
        ("reduced_250", None, "reduced-0250", "reduced", "whole"),
        ("whole", None, "netbase", "base", "whole"),
    ],
)
def test_roles(name: str, split: str | None, original: str, family: str, half: str) -> None:
    role = find_role(name, split)
    assert role is not None and role.original is not None
    assert (role.name, role.family, role.half) == (original, family, half)
    assert (role.original.family, role.original.half) == (family, half)


def test_roles_that_no_original_has() -> None:
    selffer = find_role("selffer_B3B", "0")  # the study transferred A to itself, not B
    assert selffer is not None and selffer.original is None
    assert find_role("base_A", None) is None
    assert find_role("lenet", "0") is None


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("runs/2/base_A", "2"),
        ("runs/split3/base_A", "3"),
        ("half0/x", "0"),
        ("natman/x", "natman"),
        ("runs/base_A", None),
    ],
)
def test_split_of_a_folder(path: str, split: str | None) -> None:
    assert split_in(Path("/study") / path) == split


def test_process_starts_come_from_the_sessions(as_log) -> None:
    folder = as_log("half0A", upto=1000)
    sessions = [{"resumed_from": None}, {"resumed_from": "x/half0A_iter_280000.solverstate"}]
    (folder / "run.json").write_text(json.dumps({"sessions": sessions, "split": "0"}))
    run = Run(folder)
    assert run.starts == [0, 280_000]
    assert run.iteration == 1000
    assert (run.batch_size, run.classes) == (256, 1000)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "nothing", "no such run directory"), (tmp_path, "no log in it")):
        with pytest.raises(CaffeError, match=what):
            Run(path)


def test_rules_are_checked(tmp_path: Path) -> None:
    rules = PACKAGED.read_text()
    assert read_rules().version == 1
    for change, what in (
        (rules.replace('"alpha": 0.01,', ""), "rule 'alpha' is missing"),
        (rules.replace('"alpha"', '"beta": 1, "alpha"'), "rule 'beta' is unknown"),
        (rules.replace("0.01,", '"small",'), "rule 'alpha' is 'small'; expected float"),
        (rules[:50], "not a file of audit rules"),
    ):
        path = tmp_path / "rules.json"
        path.write_text(change)
        with pytest.raises(CaffeError, match=what):
            read_rules(path)
