"""`yosinski report`: the page stands alone and says the same numbers; the figures are drawn."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from yosinski.cli.report import report
from yosinski.original import find_net
from yosinski.report.chart import chart, nice_range
from yosinski.report.figures import all_figures
from yosinski.report.points import Points, original_points


def run(*arguments: object) -> Result:
    return CliRunner().invoke(report, [str(argument) for argument in arguments])


class Page(HTMLParser):
    """Counts tags, checks that they close, and collects what a browser would fetch."""

    VOID = {"meta", "input", "path", "circle", "br"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            if name == "href":
                self.links.add(value or "")
            if name in ("src", "srcset", "data", "poster", "action") or (tag == "link" and name == "href"):
                self.fetched.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A run of ours: half0A's tests, half a point better."""
    folder = tmp_path / "half0A"
    folder.mkdir()
    lines = ""
    for k, (at, top1, loss) in enumerate(find_net("half0A").tests().tolist()):
        stamp = f"I20260101 {k // 60:02d}:{k % 60:02d}:00.000000 1 solver.cpp:1] "
        lines += (
            f"{stamp}Iteration {at}, Testing net (#0)\n{stamp}    Test net output #0: accuracy = {top1 + 0.005:.6g}\n"
        )
        lines += f"{stamp}    Test net output #1: loss = {loss:.6g} (* 1 = {loss:.6g} loss)\n"
    (folder / "train.log").write_text(lines)
    return folder


def test_page(ours: Path, tmp_path: Path) -> None:
    done = run(ours, "--out", tmp_path / "out", "--html")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out/index.html").read_text()
    assert len(text.encode()) < 2_000_000
    page = Page(text)
    assert page.open == [] and page.fetched == []
    assert "url(" not in text and "@import" not in text and "fetch(" not in text
    assert page.count["details"] == 149
    assert {link[1:] for link in page.links} <= page.ids  # every link goes to a place in the page
    row = re.search(r"<tr><td class=\"text\"><a [^>]*>half0A, ours</a>.*?</tr>", text)
    assert row is not None
    assert re.findall(r"<td>([^<]*)</td>", row[0]) == ["0", "0.6201", "0.6151", "+0.0050", "0.6196", "450000"]
    for number in ("+1.60", "+1.80", "+2.06", "+1.38", "+1.40", "+1.73"):
        assert f"<td>{number}</td>" in text


def test_figures_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("--out", tmp_path)
    assert done.exit_code == 0, done.output
    names = {figure.name for figure in all_figures(Points(original_points()), Points([]))}
    assert len(names) == 6
    for name in names:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_same_numbers_give_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for folder in ("a", "b"):
        run("--out", tmp_path / folder)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_runs_that_cannot_be_taken_in_are_named(ours: Path, tmp_path: Path) -> None:
    stranger = ours.with_name("lenet")
    stranger.mkdir()
    (stranger / "train.log").write_text("")
    done = run(ours, stranger, tmp_path / "nowhere", "--out", tmp_path / "out", "--html")
    assert done.exit_code == 1
    text = (tmp_path / "out/index.html").read_text()
    for words in ("lenet is no net of the study", "nowhere: no such run directory"):
        assert words in done.output and words in text


def test_ours_alone(ours: Path, tmp_path: Path) -> None:
    assert run(ours, "--no-original", "--out", tmp_path, "--html").exit_code == 0
    assert "from 1 runs of ours" in (tmp_path / "index.html").read_text()
    assert run("--no-original", "--out", tmp_path, "--html").exit_code == 1


def test_every_point_lies_inside_its_chart() -> None:
    for figure in all_figures(Points(original_points()), Points([])):
        places = re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', chart(figure))
        assert len(places) == sum(len(series.points) for series in figure.series)
        assert all(58 <= float(x) <= 626 and 14 <= float(y) <= 328 for x, y in places)


@pytest.mark.parametrize(("low", "high"), [(0.54, 0.647), (0.0, 1.0), (-0.6, 0.1), (0.5, 0.5), (3, 7000)])
def test_axes_are_round_and_hold_the_data(low: float, high: float) -> None:
    first, last, step = nice_range(low, high)
    assert first <= low + 1e-9 and last >= high - 1e-9
    assert 1 <= round((last - first) / step) <= 11
    assert float(f"{step:.0e}") == pytest.approx(step)
    assert np.log10(step / float(f"1e{int(np.floor(np.log10(step) + 1e-9))}")) == pytest.approx(
        min((np.log10(f) for f in (1, 2, 5)), key=lambda x: abs(x - np.log10(step) % 1)), abs=1e-6
    )
