"""The fingerprint of the data stream, on the original logs themselves and on made-up series."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from yosinski.audit.rules import Rules
from yosinski.audit.stream import Stream, compare, detrend, first_batch, read_stream
from yosinski.logs import LOSS
from yosinski.original import find_net, logged


def stream(name: str, rules: Rules, starts: tuple[int | None, ...] | None = None) -> Stream:
    net = find_net(name)
    return read_stream(net.losses(), starts or net.process_starts, rules.stream, net.classes, 20_000)


@pytest.mark.parametrize(
    ("one", "other", "r"),
    [
        ("half1A", "transfer1B1A_1_7", 0.545),
        ("half1A", "transfer1A1A_1_7", 0.374),
        ("half1B", "transfer1A1B_1_7", 0.526),
        ("half1A", "transfer1A1B_1_7", 0.001),
        ("nolearn_1_1", "nolearn_1_2", 0.725),
        ("netbase", "nolearn_1_1", 0.712),
        ("netbase", "reduced-1300", 0.733),
    ],
)
def test_known_pairs(rules: Rules, one: str, other: str, r: float) -> None:
    found = compare(stream(one, rules), stream(other, rules), rules.stream)
    assert found.points == 9001
    assert found.r == pytest.approx(r, abs=0.03)
    assert found.low < found.r < found.high
    assert found.answer == ("same" if r > 0.3 else "other")
    assert abs(found.control) < 0.003


def test_a_resume_restarts_the_data(rules: Rules) -> None:
    """After its resume at 280,000, half1A sees at 280,000 + k what other nets see at k."""
    everything = replace(rules.stream, last_batch=450_000)
    losses, other = find_net("half1A").losses(), find_net("transfer1B1A_1_7").losses()
    resumed = read_stream(losses[losses["iteration"] > 280_000], [280_000], everything, 500, 0)
    by_position = compare(resumed, read_stream(other, [0], everything, 500, 0), everything)
    assert by_position.r == pytest.approx(0.374, abs=0.03)
    assert by_position.answer == "same"
    late = [read_stream(table, [0], everything, 500, 280_020) for table in (losses, other)]
    by_iteration = compare(*late, everything)
    assert by_iteration.r == pytest.approx(-0.016, abs=0.03)
    assert by_iteration.answer == "other"


def test_all_pairs_of_originals(rules: Rules) -> None:
    """Not one of the 9,453 pairs of nets that learned is taken for the wrong kind; the others stay undecided."""
    nets = logged()
    streams = [stream(net.name, rules) for net in nets]
    answers: Counter[tuple[bool, str]] = Counter()
    same, other, controls, inside = [], [], [], 0
    for i, net in enumerate(nets):
        for j in range(i):
            truth = net.training_set == nets[j].training_set
            found = compare(streams[i], streams[j], rules.stream)
            answers[truth, found.answer] += 1
            if found.answer != "undecided":
                (same if truth else other).append(found.r)
                controls.append(found.control)
                inside += found.control_low <= found.control <= found.control_high
    assert answers == {
        (True, "same"): 872,
        (False, "other"): 8581,
        (True, "undecided"): 30,
        (False, "undecided"): 1395,
    }
    assert min(same) == pytest.approx(0.269, abs=0.002)
    assert max(other) == pytest.approx(0.053, abs=0.002)
    assert abs(np.mean(controls)) < 1e-4
    assert inside / len(controls) > 0.98  # intervals of 99 %


def test_the_undecided_nets_are_those_on_the_plateau(rules: Rules) -> None:
    asleep = {net.name for net in logged() if not stream(net.name, rules).learned}
    dead = {f"reduced-{count:04d}" for count in (5, 10, 25, 50, 100)}
    assert asleep == dead | {f"nolearn_1_{n}" for n in range(3, 8)}


def series(random: np.random.Generator, batches: np.ndarray, signal: np.ndarray, share: float) -> np.ndarray:
    table = np.zeros(len(batches), LOSS)
    table["iteration"] = table["batch"] = batches
    table["loss"] = 1 + 3 * np.exp(-batches / 50_000) + 0.1 * (share * signal + random.normal(size=len(batches)))
    return table


@pytest.mark.parametrize(("share", "answer"), [(1.0, "same"), (0.0, "other")])
def test_made_up_streams(rules: Rules, noise: np.random.Generator, share: float, answer: str) -> None:
    """R of two nets with equal parts of common and own noise is 1/2; the falling trend adds nothing."""
    batches = np.arange(20, 60_000, 20)
    signal = noise.normal(size=len(batches))
    one, other = (read_stream(series(noise, batches, signal, share), [0], rules.stream, 500, 1000) for _ in range(2))
    found = compare(one, other, rules.stream)
    assert found.answer == answer
    assert found.r == pytest.approx(share / 2, abs=0.05)


def test_batches_that_never_meet(rules: Rules, noise: np.random.Generator) -> None:
    """Caffe 1.0 with `display: 20` shows batches 1, 21, ...; the originals show 20, 40, ...."""
    batches = np.arange(20, 60_000, 20)
    signal = noise.normal(size=len(batches))
    one = read_stream(series(noise, batches, signal, 1), [0], rules.stream, 500, 1000)
    other = read_stream(series(noise, batches + 1, signal, 1), [0], rules.stream, 500, 1000)
    found = compare(one, other, rules.stream)
    assert found.answer == "undecided" and np.isnan(found.r)
    assert "one displays batches 1000, 1020, 1040..., the other 1001, 1021, 1041...; `display: 1`" in found.reason


def test_detrend() -> None:
    assert detrend(np.arange(9.0), 3).tolist() == [-0.5, 0, 0, 0, 0, 0, 0, 0, 0.5]
    assert detrend(np.zeros(0), 3).tolist() == []


def test_short_runs_are_compared_from_a_fifth_on(rules: Rules) -> None:
    assert first_batch(5_000, rules.stream) == 1_000
    assert first_batch(450_000, rules.stream) == 20_000
