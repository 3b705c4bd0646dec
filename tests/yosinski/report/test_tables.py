"""The paper's numbers, from the original logs."""

from __future__ import annotations

import pytest

from yosinski.report.claims import claims
from yosinski.report.points import Points, original_points
from yosinski.report.tables import figure2, relative, table1

# mean top-1 and number of nets behind Figure 2, by layer: BnB, AnB, BnB+, AnB+
FIGURE_2 = {
    1: [(0.626696, 4), (0.628184, 8), (0.617719, 1), (0.637283, 1)],
    2: [(0.623543, 4), (0.623853, 8), (0.621464, 1), (0.635791, 2)],
    3: [(0.621089, 4), (0.618919, 8), (0.631270, 2), (0.642573, 2)],
    4: [(0.604755, 4), (0.599784, 8), (0.628723, 1), (0.639847, 2)],
    5: [(0.593490, 4), (0.577997, 8), (0.630091, 2), (0.644631, 1)],
    6: [(0.618756, 4), (0.580645, 8), (0.627634, 2), (0.646044, 1)],
    7: [(0.623250, 4), (0.542486, 8), (0.626624, 1), (0.646451, 1)],
}


@pytest.fixture(scope="module")
def points() -> Points:
    return Points(original_points())


def test_table_1_as_printed(points: Points) -> None:
    rows = table1(points)
    assert [f"{row.first}-{row.last}" for row in rows] == ["1-7", "3-7", "5-7"]
    assert [f"{100 * row.over_base:.1f}" for row in rows] == ["1.6", "1.8", "2.1"]
    assert [f"{100 * row.over_selffer:.1f}" for row in rows] == ["1.4", "1.4", "1.7"]
    assert [row.nets for row in rows] == [10, 7, 3]


def test_base_error(points: Points) -> None:
    base = figure2(points)["base", 0]
    assert base.nets == 8
    assert f"{100 * (1 - base.mean):.1f}" == "37.5"
    assert base.mean == pytest.approx(0.625101, abs=1e-6)


@pytest.mark.parametrize("n", FIGURE_2)
def test_figure_2(points: Points, n: int) -> None:
    cells = figure2(points)
    for family, (mean, nets) in zip(("selffer", "transfer", "selffer+", "transfer+"), FIGURE_2[n], strict=True):
        assert cells[family, n].mean == pytest.approx(mean, abs=2e-6)
        assert cells[family, n].nets == nets


def test_figure_3(points: Points) -> None:
    """Relative to their bases, natural / man-made transfers lose more than random splits, random weights most."""
    kinds = [relative(points, kind) for kind in ("random split", "natural / man-made", "random weights")]
    for n in range(3, 8):
        split, natman, random = (kind[n].mean for kind in kinds)
        assert random < natman < split < 0
    assert kinds[1][7].mean == pytest.approx((0.291372 + 0.399026) / 2 - (0.537244 + 0.653399) / 2, abs=1e-6)
    assert kinds[2][3].mean == pytest.approx(0.001114 - 0.576305, abs=1e-6)
    assert [kind[1].nets for kind in kinds] == [8, 2, 1]


def test_claims(points: Points) -> None:
    found = claims(points)
    assert [claim.holds for claim in found] == ["holds", "holds", "holds", "holds", "cannot be told"]
    units = {one.what: (one.units, one.nets) for claim in found for one in claim.evidence}
    assert units["AnB - base, n = 1-2"] == (4, 16)
    assert units["AnB+ - base on the same half"] == (2, 10)


def test_the_boost_against_fine_tuned_selffers_is_mostly_one_of_halves(points: Points) -> None:
    """Table 1 holds AnB+ on B halves against BnB+ on A halves; each less its own base, little is left of 1.4 points."""
    boost, over_selffer = claims(points)[4].evidence
    assert boost.value == pytest.approx(0.0095, abs=1e-4)
    assert boost.low > 0
    assert over_selffer.value == pytest.approx(0.0008, abs=1e-4)
    assert over_selffer.low < 0 < over_selffer.high


def test_no_nets_give_no_claims() -> None:
    assert {claim.holds for claim in claims(Points([]))} == {"cannot be told"}
    assert all("no nets" in str(one) for claim in claims(Points([])) for one in claim.evidence)
