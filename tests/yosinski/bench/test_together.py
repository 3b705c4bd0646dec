"""The bench of nets trained together, with as little work as possible."""

from __future__ import annotations

from pathlib import Path

import torch

from caffe_compat.net import Net
from yosinski.bench import together

SMALL = together.SMALL_NET % (together.CROP, "pictures", 2)


def test_both_sides_train_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(together, "IMAGES", 6)
    together._write_pictures(tmp_path / "pictures", encoded=True)
    solvers = [together._solver(SMALL, together.SMALL_SOLVER, seed) for seed in range(4)]
    contest, built = together._Contest(solvers, [1, 1, None, None], together.CPU), []
    build = contest._build

    def noting(*arguments):
        made = build(*arguments)
        built.append(made[1].net)
        return made

    monkeypatch.setattr(contest, "_build", noting)
    with contest.begun() as (alone, in_turn):
        alone(3)
        in_turn(3)
    weights = [[parameter.parameter.detach() for parameter in net.learnable] for net in built]
    for mine, its in zip(weights[:4], weights[4:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, its))
    assert type(built[0]) is Net is not type(built[4])
    assert not torch.equal(weights[0][0], weights[1][0])


def test_comparisons_of_the_mini_nets(tmp_path: Path) -> None:
    found = list(together._mini_nets(tmp_path / "mini", 1, 1, together.CPU, None))
    assert [comparison.name for comparison in found] == ["study/base", "study/frozen"]
    for comparison in found:
        (ratio,) = comparison.ratios
        assert ratio.name == "one after the other / together" and comparison.value(ratio) > 0
        assert comparison.work == 4 * 64
