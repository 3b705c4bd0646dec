"""The spread between equal runs, from the originals."""

from __future__ import annotations

import numpy as np
import pytest

from yosinski.audit.pattern import fit, t_quantile
from yosinski.original import find_net, logged


def test_spread_of_top1() -> None:
    pattern = fit({net: net.top1 for net in logged()})
    assert (pattern.spread.nets, pattern.spread.degrees) == (112, 76)
    assert pattern.spread.sd == pytest.approx(0.0022, abs=5e-5)
    assert max(map(abs, pattern.residuals.values())) < 0.005


def test_a_known_pattern_is_found_again() -> None:
    """Values made from kind + half + noise give back the noise, and what the pattern says of a net that is left out."""
    random = np.random.default_rng(0)
    left_out = find_net("transfer2A2B_1_5")
    kinds: dict[tuple[str, int], float] = {}
    halves: dict[str, float] = {}
    truth = {}
    for net in logged():
        kind, half = (net.family, net.n), net.half
        truth[net] = kinds.setdefault(kind, random.normal()) + halves.setdefault(half, random.normal())
    values = {net: value + random.normal(0, 0.01) for net, value in truth.items() if net != left_out}
    pattern = fit(values)
    assert pattern.spread.sd == pytest.approx(0.01, rel=0.2)
    expected = pattern.expect(left_out.family, left_out.n, left_out.half)
    assert expected is not None
    value, error = expected
    assert abs(value - truth[left_out]) < 4 * error < 0.05


def test_an_unknown_kind_or_half_has_no_pattern() -> None:
    pattern = fit({net: net.top1 for net in logged()})
    assert pattern.expect("random", 3, "0A") is None
    assert pattern.expect("base", 0, "9A") is None
    assert fit({}).spread.degrees == 0


@pytest.mark.parametrize(
    ("probability", "degrees", "value"),
    [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.995, 3, 5.841), (0.9, 10, 1.372), (0.9995, 76, 3.425)],
)
def test_quantiles_of_student(probability: float, degrees: int, value: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(value, rel=1e-3)
