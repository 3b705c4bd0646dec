"""`yosinski audit`: runs against the original nets, or against other runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yosinski.cli.options import PATH, Split

if TYPE_CHECKING:
    from yosinski.audit.runs import Audited

COLOURS = {"pass": "green", "fail": "red", "undecided": "yellow"}


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PATH)
@click.option("--against", type=PATH, metavar="DIR", help="Hold the runs against those of the same nets below DIR.")
@click.option("--split", type=Split(), help="Of runs of which neither run.json nor folder says it.")
@click.option("--stream", is_flag=True, help="Compare the order of the training images, too, by the displayed losses.")
@click.option("--rules", "rules_path", type=PATH, metavar="FILE", help="Other rules than the packaged ones.")
@click.option("--csv", "csv_path", type=PATH, metavar="FILE", help="Write a table, one row a run; - for stdout.")
@click.option("--json", "json_path", type=PATH, metavar="FILE", help="Write everything found; - for stdout.")
@click.option("--html", "html_path", type=PATH, metavar="FILE", help="Write a page for people.")
@click.option("--strict", is_flag=True, help="Exit with 1 unless every run passes.")
def audit(
    runs: tuple[Path, ...],
    against: Path | None,
    split: str | None,
    stream: bool,
    rules_path: Path | None,
    csv_path: Path | None,
    json_path: Path | None,
    html_path: Path | None,
    strict: bool,
) -> None:
    """Say of each RUN directory whether it equals the original net that it answers to, and where not, why not.

    Exits with 1 if a run fails. A run that nothing can be said of is undecided, and fails with --strict only. What
    the verdicts mean is in docs/audit.md.
    """
    from caffe_compat.atomic import write_text
    from yosinski.audit import output
    from yosinski.audit.rules import PACKAGED, read_rules
    from yosinski.audit.runs import audit_originals, audit_runs, joint

    if against is not None and split is not None:
        raise click.UsageError("--split says which original a run answers to; with --against there is none.")
    rules = read_rules(rules_path or PACKAGED)
    if against is not None:
        audited = audit_runs(runs, against, rules, stream)
    else:
        audited = audit_originals(runs, rules, split, stream)
    common = joint(audited, rules)
    texts = {csv_path: lambda: output.to_csv(audited), json_path: lambda: output.to_json(audited, common, rules)}
    for path, text in texts.items():
        if str(path) == "-":
            click.echo(text(), nl=False)
        elif path is not None:
            write_text(path, text())
    if html_path is not None:
        from yosinski.audit.page import audit_page

        write_text(html_path, audit_page(audited, common, rules))
    if "-" not in (str(csv_path), str(json_path)):
        print_results(audited, common)
    verdicts = [one.verdict for one in audited] + [common.verdict]
    if "fail" in verdicts or (strict and "undecided" in verdicts[:-1]):
        raise click.exceptions.Exit(1)


def print_results(audited: Sequence[Audited], common: Any) -> None:
    """One block a run: its verdict, and what each check says that did not simply pass."""
    from yosinski.logs import describe

    for one in audited:
        click.echo(f"{click.style(one.verdict, fg=COLOURS[one.verdict])}  {one.path}  {one.reference}")
        for finding in one.findings:
            verdict = click.style(finding.verdict, fg=COLOURS[finding.verdict])
            click.echo(f"    {finding.check:8} {verdict}: {finding.text}")
        for line in describe(one.problems):
            click.echo(f"    log      {line}")
    if len(audited) > 1 and common.verdict != "undecided":
        click.echo(f"{click.style(common.verdict, fg=COLOURS[common.verdict])}  all runs: {common.text}")
    counts = {verdict: sum(one.verdict == verdict for one in audited) for verdict in COLOURS}
    click.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))
