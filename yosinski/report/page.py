"""The report as one page for people: claims, figures, tables, and every net with its curve and hashes."""

from __future__ import annotations

from html import escape

from yosinski.original import facts as original_facts
from yosinski.report.chart import chart, curve, legend
from yosinski.report.claims import claims
from yosinski.report.figures import all_figures
from yosinski.report.html import Markup, anchor, facts, page, table, verdict
from yosinski.report.points import Point, Points
from yosinski.report.tables import FAMILIES, LAYERS, PAPER_NAMES, Cell, figure2, table1

TITLE = "How transferable are features in deep neural networks?"


def report_page(original: Points, ours: Points, left_out: list[str]) -> str:
    """The page as text.

    Args:
        original, ours: either may be empty.
        left_out: runs that could not be taken in, one line each.
    """
    sets = {name: points for name, points in (("Original", original), ("Ours", ours)) if points.all}
    sections = {"Figures": _figures(original, ours), "Claims": _claims(sets)}
    sections["Table 1"] = _table1(sets)
    sections["Means"] = _means(sets)
    sections["Nets"] = _nets(original, ours)
    if left_out:
        sections["Left out"] = "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in left_out) + "</ul>"
    nets = {"Original": f"{len(original.all)} original nets", "Ours": f"{len(ours.all)} runs of ours"}
    counts = " and ".join(nets[name] for name in sets)
    lead = f"The 2014 study in numbers, from {counts}. Hollow marks and dashed lines are originals, filled ones ours."
    source = escape(original_facts()["source"]["logs"])
    return page(TITLE, lead, sections, f"Top-1 is the mean of a net's 10 best tests. Originals: {source}.")


def _claims(sets: dict[str, Points]) -> str:
    cards = []
    for both in zip(*(claims(points) for points in sets.values()), strict=True):
        found = "".join(
            f"<h4>{name}: {verdict(claim.holds)}</h4><ul>"
            + "".join(f"<li>{verdict(one.holds)}: {escape(str(one))}</li>" for one in claim.evidence)
            + "</ul>"
            for name, claim in zip(sets, both, strict=True)
        )
        number, text, caution = both[0].number, escape(both[0].text), escape(both[0].caution)
        cards.append(f'<div class="card"><h3>{number}. {text}</h3>{found}<p class="soft">{caution}</p></div>')
    note = (
        "Points of top-1 accuracy with 95 % intervals over independent units (splits, where nothing else is said). "
        "A claim holds if all its evidence lies on its side."
    )
    return f'<p class="soft">{note}</p><div class="cards">{"".join(cards)}</div>'


def _figures(original: Points, ours: Points) -> str:
    cards = [
        f'<div class="card"><h3>{escape(figure.title)}</h3>{chart(figure)}{legend(figure)}'
        f'<p class="soft">{escape(figure.note)}</p></div>'
        for figure in all_figures(original, ours)
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _table1(sets: dict[str, Points]) -> str:
    rows = [
        (
            f"{row.first}-{row.last}, {name.lower()}",
            _points(row.over_base),
            _points(row.over_selffer),
            _points(row.paired),
            row.nets,
        )
        for name, points in sets.items()
        for row in table1(points)
        if row.nets
    ]
    heads = ("layers kept", "AnB+ over baseB", "AnB+ over BnB+", "AnB+ over the base on its own half", "nets")
    note = "Points of top-1. The first two columns are the paper's; the last compares nets on the same half only."
    return table(heads, rows) + f'<p class="soft">{note}</p>'


def _means(sets: dict[str, Points]) -> str:
    rows = []
    for name, points in sets.items():
        cells = figure2(points)
        base = cells["base", 0]
        if base.nets:
            rows.append((f"baseB, {name.lower()}", _cell(base), *[""] * 7))
        for family in FAMILIES:
            if any(cells[family, n].nets for n in LAYERS):
                row = [_cell(cells[family, n]) for n in LAYERS]
                rows.append((f"{PAPER_NAMES[family]}, {name.lower()}", "", *row))
    note = "Mean top-1 on the random halves, in brackets the number of nets."
    return table(("", "base", *(f"n = {n}" for n in LAYERS)), rows) + f'<p class="soft">{note}</p>'


def _nets(original: Points, ours: Points) -> str:
    heads = ("net", "kind", "split", "n", "top-1", "original", "difference", "last test", "iteration")
    known = {point.name: point for point in original.all}
    rows, details = [], []
    for point in [*ours.all, *original.all]:
        reference = known.get(point.name) if point.who == "ours" else None
        name = f"{point.name}, ours" if point.who == "ours" else point.name
        rows.append(
            (
                Markup(f'<a href="#net_{anchor(name)}">{escape(name)}</a>'),
                PAPER_NAMES[point.family],
                point.split,
                point.n,
                f"{point.top1:.4f}",
                f"{reference.top1:.4f}" if reference else "",
                f"{point.top1 - reference.top1:+.4f}" if reference else "",
                f"{point.last_top1:.4f}",
                point.iteration,
            )
        )
        details.append(_net(name, point, reference))
    find = (
        '<input data-filter="#Nets tbody tr, #Nets details" placeholder="filter, e.g. 1A1B" aria-label="filter nets">'
    )
    return find + table(heads, rows, ("kind", "split"), sortable=True) + "<h3>Net by net</h3>" + "".join(details)


def _net(name: str, point: Point, reference: Point | None) -> str:
    told = facts(
        [
            ("mean of the 10 best tests", f"{point.top1:.6f}"),
            ("last test", f"top-1 {point.last_top1:.5f}, loss {point.last_loss:.4f}, at iteration {point.iteration:,}"),
            ("original", f"{reference.top1:.6f} (dashed)" if reference else None),
            *point.provenance,
            *(("note", note) for note in point.notes),
        ]
    )
    drawn = curve(point.tests, reference.tests if reference else None)
    colour = "c3" if point.who == "ours" else "c1"
    summary = f"<summary>{escape(name)} <span class=soft>{point.top1:.4f}</span></summary>"
    return f'<details id="net_{anchor(name)}">{summary}<div class="{colour}">{drawn}</div>{told}</details>'


def _cell(cell: Cell) -> str:
    return f"{cell.mean:.4f} ({cell.nets})" if cell.nets else ""


def _points(value: float) -> str:
    return f"{100 * value:+.2f}" if value == value else ""
