"""The packaged original numbers: whole, consistent with each other, and with what is known of their gaps."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from caffe_compat.errors import CaffeError
from yosinski.net_names import parse_name
from yosinski.original import FOLDER, facts, find_net, logged, nets


def test_counts() -> None:
    families = [net.family for net in nets().values()]
    counts = {family: families.count(family) for family in set(families)}
    assert counts == {
        "base": 11,  # eight random halves, natural and man-made, and the whole
        "selffer": 28,
        "selffer+": 14,
        "transfer": 70,
        "transfer+": 28,
        "random": 7,
        "reduced": 12,
    }
    assert len(logged()) == 148
    assert sum(net.log_files for net in nets().values()) == 354


def test_size_on_disk() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 5_000_000


def test_curves_agree_with_the_table() -> None:
    for net in logged():
        tests = net.tests()
        assert np.sort(tests["top1"])[-10:].mean() == pytest.approx(net.top1, abs=1e-6), net.name
        assert tests["top1"][-1] == pytest.approx(net.last_top1, abs=2e-6), net.name
        assert tests["loss"][-1] == pytest.approx(net.last_loss, abs=2e-5), net.name
        assert tests["iteration"][-1] == net.schedule["max_iter"]
        assert net.losses()["iteration"][-1] == net.schedule["max_iter"]


def test_complete_nets_have_every_test_and_loss() -> None:
    assert len(find_net("half0A").tests()) == 450
    assert len(find_net("half0A").losses()) == 22500
    assert len(find_net("reduced-1300").losses()) == 10000


@pytest.mark.parametrize(
    ("name", "missing_tests", "first_loss"),
    [("transfer0A0A_1_1", 13, 20), ("transfer2B2A_1_4", 360, 360_020), ("transfer2B2A_1_7", 370, 370_020)],
)
def test_lost_stretches_are_missing_and_noted(name: str, missing_tests: int, first_loss: int) -> None:
    net = find_net(name)
    assert len(net.tests()) == 450 - missing_tests
    assert net.losses()["iteration"][0] == first_loss
    assert None in net.process_starts
    assert any("nothing b" in gap for gap in net.gaps)


def test_nets_without_logs() -> None:
    without = [net.name for net in nets().values() if not net.has_log]
    assert len(without) == 22
    for name in without:
        net = find_net(name)
        assert len(net.tests()) == len(net.losses()) == 0
        assert np.isnan(net.top1)
        assert any("no log survives" in gap for gap in net.gaps)


def test_dead_nets_are_those_that_the_facts_name() -> None:
    dead = {net.name for net in logged() if net.top1 < 0.002}
    for name in dead:
        assert find_net(name).losses()["loss"][-500:].mean() == pytest.approx(np.log(1000), abs=5e-3)
    named = {net.name for net in logged() if any("stayed at ln 1000" in gap for gap in net.gaps)}
    assert dead == named
    assert len(dead) == 6


def test_learning_rates() -> None:
    rates = find_net("half0A").rate(np.array([20, 99_980, 100_000, 450_000]))
    assert rates == pytest.approx([0.01, 0.01, 0.001, 1e-6])
    assert find_net("reduced-1300").rate(np.array([64_000])) == pytest.approx([0.00125])


def test_halves_make_up_the_training_set() -> None:
    sizes = facts()["training_images"]
    assert [sizes[f"{split}A"] + sizes[f"{split}B"] for split in ("0", "1", "2", "3", "natman")] == [sizes["whole"]] * 5


def test_whole_nets_were_tested_on_48000_images() -> None:
    """A constant prediction scores 50 of 50,000 on the full set; its scores repeat every 24 tests instead."""
    counts = np.round(find_net("reduced-0005").tests()["top1"] * 50_000).astype(int)
    assert facts()["validation_images"]["whole"] == 48_000
    assert set(counts.tolist()) != {50}
    same = "".join("x" if again else " " for again in counts[24:] == counts[:-24]).split()
    assert max(map(len, same)) == 31
    sums = np.convolve(counts, np.ones(24, int), "valid")
    assert np.bincount(sums).argmax() == 1225  # 24 tests are 25 passes, in each of which 49 images are of its class


def test_names_are_those_of_the_networks() -> None:
    for net in nets().values():
        spec = parse_name(net.name)
        assert (spec.original_name, spec.n, spec.base or "") == (net.name, net.n, net.base or spec.base)
        assert spec.finetune == net.family.endswith("+")


def test_table_has_one_row_a_net() -> None:
    with (FOLDER / "nets.csv").open(encoding="utf-8", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == len(nets()) == 170


def test_an_unknown_name_is_an_error_in_one_line() -> None:
    with pytest.raises(CaffeError, match="none of the study's 170 nets"):
        find_net("half9A")
