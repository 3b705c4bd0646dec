"""Which nets a study has, in which order, and at what cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_compat.errors import CaffeError
from yosinski.net_names import SPLITS
from yosinski.original import nets as originals
from yosinski.scales import SCALES
from yosinski.study.folder import Folder
from yosinski.study.plan import Net, Plan, chunks, make_plan
from yosinski.study.presets import PRESETS, find_preset
from yosinski.study.speed import K20, Speed, find_speed


def plan(name: str) -> Plan:
    return make_plan(find_preset(name))


@pytest.mark.parametrize("name", PRESETS)
def test_nobody_comes_before_its_base(name: str) -> None:
    seen: set[str] = set()
    for net in plan(name).nets:
        assert net.base is None or net.base in seen
        assert net.name not in seen
        seen.add(net.name)


def test_paper_is_what_was_published() -> None:
    made = plan("paper")
    assert {net.name for net in made.nets} == set(originals())
    assert sum(net.family != "random" for net in made.nets) == 163
    for net in made.nets:
        known = originals()[net.name]
        assert net.iterations == known.schedule["max_iter"]
        assert net.spec.n == known.n
        assert (net.base is not None) == (known.family.rstrip("+") in ("selffer", "transfer"))
    # 158 nets of 450,000 iterations and 12 of 200,000, in batches of 256.
    assert made.images == (158 * 450_000 + 12 * 200_000) * 256
    # A transfer net waits for its base, and is done when the other three are that are trained with it.
    assert made.longest == (1 + 4) * 450_000 * 256
    assert make_plan(find_preset("paper", together=1)).longest == 2 * 450_000 * 256


def test_full_has_both_directions_of_everything() -> None:
    names = {net.name for net in plan("full").nets}
    assert {"transfer-ft2B2A_1_4", "transfer3B3B_1_7", "transfer-ftnatmanBB_1_1"} <= names
    assert len(names) == len(SPLITS) * (2 + 4 * 2 * 7) + 1 + 7 + 12
    assert set(originals()) <= names


def test_mini_has_every_family_and_every_n() -> None:
    made = plan("mini")
    cuts: dict[str, set[int]] = {}
    for net in made.nets:
        cuts.setdefault(net.family, set()).add(net.spec.n)
    for family in ("selffer", "selffer+", "transfer", "transfer+", "random"):
        assert cuts[family] == set(range(1, 8)), family
    assert {"base", "whole", "reduced"} < set(cuts)
    assert {net.spec.split for net in made.nets} == {"0", "1", "natman", None}
    assert made.datasets == sorted(made.datasets)
    # A test of a half is one pass over its 500 images, one of the whole over its 1000.
    tests = {net.name: list(made.solver_of(net.spec).test_iter) for net in made.nets}
    assert (tests["half0A"], tests["netbase"], tests["nolearn_1_3"]) == ([10], [20], [20])


def test_a_study_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"net": "mini", "nets": ["transfer"], "cuts": [2], "splits": [5]}))
    assert [net.name for net in plan(str(file)).nets] == ["half5B", "half5A", "transfer5B5A_1_2", "transfer5A5B_1_2"]
    with pytest.raises(CaffeError, match=r"^preset 'papers': expected paper, full, mini, tiny, or the file of a study"):
        find_preset("papers")


def test_other_iterations() -> None:
    made = make_plan(find_preset("mini"), max_iter=7)
    assert {net.iterations for net in made.nets} == {7}
    assert made.solver_of(made.nets[0].spec).max_iter == 7


def test_groups_share_their_base() -> None:
    nets = plan("mini").nets
    groups = chunks(nets, 4)
    assert sorted(net.name for group in groups for net in group) == sorted(net.name for net in nets)
    assert all(len(group) <= 4 and len({net.base for net in group}) == 1 for group in groups)
    one: list[list[Net]] = chunks(nets, 1)
    assert len(one) == len(nets)


@pytest.mark.parametrize(("name", "size"), [("mini", 4), ("paper", 3), ("full", 1)])
def test_nets_are_trained_with_others_of_their_kind(name: str, size: int) -> None:
    made = make_plan(find_preset(name, together=size))
    trained: set[str] = set()
    for job in made.jobs:
        for group in job:
            assert len(group) <= size
            assert len({(net.base, net.spec.train_set, net.spec.mean_set, net.spec.valid_set) for net in group}) == 1
        assert len({group[0].base for group in job}) == 1
        assert sum(map(len, job)) <= max(size, made.preset.nets_per_job)
        assert job[0][0].base is None or job[0][0].base in trained
        trained.update(net.name for group in job for net in group)
    assert trained == {net.name for net in made.nets}


def test_frozen_nets_are_together() -> None:
    groups = [[net.name for net in group] for group in plan("mini").groups]
    assert [f"transfer0A0B_1_{n}" for n in (7, 6, 5)] in groups
    assert [f"transfer0A0B_1_{n}" for n in (4, 3, 2, 1)] in groups


def test_speeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nowhere = Folder(tmp_path / "none")
    assert find_speed(SCALES["mini"], None, nowhere) is None
    assert find_speed(SCALES["full"], None, nowhere) == Speed(K20, "as on the original authors' K20")
    assert find_speed(SCALES["full"], 5000, nowhere) == Speed(5000, "as given")


def test_a_measured_speed_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from yosinski.study.speed import measure

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    speed = measure(SCALES["mini"], torch.device("cpu"))
    assert 10 < speed.images_per_second < 1e6
    assert find_speed(SCALES["mini"], None, Folder(tmp_path / "none")) == speed
    (tmp_path / "yosinski" / "speed.json").write_text("damaged")
    assert find_speed(SCALES["mini"], None, Folder(tmp_path / "none")) is None


def test_the_command_is_quick_and_needs_neither_torch_nor_snakemake(tmp_path: Path) -> None:
    look = (
        "import sys; sys.argv[1:] = ['study', 'plan', '--preset', 'paper', '--json']\n"
        "import atexit; atexit.register(lambda: print({'torch', 'snakemake'} & set(sys.modules), file=sys.stderr))\n"
        "import yosinski.cli; yosinski.cli.main()"
    )
    best = 99.0
    for _ in range(3):
        began = os.times().children_user  # of a processor, however busy the machine
        done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, cwd=tmp_path)
        best = min(best, os.times().children_user - began)
    assert done.returncode == 0 and done.stderr.strip() == "set()"
    assert best < 2
    found = json.loads(done.stdout)
    assert len(found["nets"]) == 170
    assert found["nets"][0]["hours"] == pytest.approx(450_000 * 256 / found["speed"] / 3600)
