"""The audit as a page for people: a table of verdicts, and for each run what every check found."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from yosinski.audit.finding import Finding
from yosinski.audit.output import provenance, value
from yosinski.audit.rules import Rules
from yosinski.audit.runs import Audited
from yosinski.logs import describe
from yosinski.original import nets
from yosinski.report.chart import curve
from yosinski.report.html import Markup, anchor, facts, page, table, verdict


def audit_page(audited: Sequence[Audited], common: Finding, rules: Rules) -> str:
    """The page as text."""
    counts = ", ".join(
        f"{sum(one.verdict == word for one in audited)} {verdict(word)}" for word in ("pass", "fail", "undecided")
    )
    sections = {"Verdicts": _table(audited), "Run by run": "".join(_run(one) for one in audited)}
    lead = f"{len(audited)} runs: {counts}."
    if common.verdict != "undecided":
        lead += f" All together: {verdict(common.verdict)}, {escape(common.text)}."
    note = (
        f"Rules version {rules.version}. A run passes if no check found a difference; the smallest difference in top-1 "
        "that would most likely have been found is in the column 'visible'. Undecided: the check could not be made."
    )
    return page("Audit", lead, sections, note)


def _table(audited: Sequence[Audited]) -> str:
    heads = (
        "run",
        "verdict",
        "reference",
        "top-1",
        "reference's",
        "difference",
        "limit",
        "visible",
        "stream r",
        "fails",
    )
    rows = []
    for one in audited:
        top1, stream = one.finding("top1"), one.finding("stream")
        rows.append(
            (
                Markup(f'<a href="#run_{anchor(str(one.path))}">{escape(str(one.path))}</a>'),
                verdict(one.verdict),
                one.reference,
                *(_number(value(top1, name), ".4f") for name in ("ours", "theirs")),
                _number(value(top1, "difference"), "+.4f"),
                *(_number(value(top1, name), ".4f") for name in ("limit", "visible")),
                _number(value(stream, "r"), ".3f"),
                ", ".join(finding.check for finding in one.findings if finding.verdict == "fail"),
            )
        )
    return table(heads, rows, ("verdict", "reference", "fails"), sortable=True)


def _run(one: Audited) -> str:
    items = "".join(f"<li>{f.check}: {verdict(f.verdict)}. {escape(f.text)}</li>" for f in one.findings)
    items += "".join(f"<li>log: {escape(line)}</li>" for line in describe(one.problems))
    drawn = told = ""
    if one.run is not None:
        original = nets().get(one.reference)
        reference = original.tests() if original is not None and original.has_log else None
        tests = one.run.log.tests
        drawn = f'<div class="c3">{curve(tests, reference)}</div>' if len(tests) else ""
        told = facts(provenance(one.run).items())
    head = f"<summary>{escape(str(one.path))} {verdict(one.verdict)}</summary>"
    return f'<details id="run_{anchor(str(one.path))}">{head}{drawn}<ul>{items}</ul>{told}</details>'


def _number(number: float | None, form: str) -> str:
    return "" if number is None else format(round(number, 6) + 0.0, form)
