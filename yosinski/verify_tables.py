"""A verification as tables for the terminal."""

from __future__ import annotations

from rich.table import Table

from yosinski.verify_layers import LayerDelta
from yosinski.verify_report import VerifyReport

LEFT = ("runtime", "version", "layer", "blob", "")  # columns of words; the others hold numbers
OF_RUNTIMES = ("runtime", "version", "images", "top-1", "top-5", "log loss", "img/s")
OF_COMPARISONS = ("max |Δ|", "allowed", "mean |Δ|", "differ", "ties")


def runtime_table(report: VerifyReport) -> Table:
    """One row a runtime, the verdict below."""
    table = Table(caption=report.verdict)
    for title in OF_RUNTIMES + OF_COMPARISONS:
        table.add_column(title, justify="left" if title in LEFT else "right", no_wrap=title == "runtime")
    for name, answer in report.answers.items():
        judged = [_number(report.judged[name][key], ".4f") for key in ("top1", "top5", "log_loss")]
        c = report.comparisons.get(name)
        deltas = [f"{c.max_delta:.2g}", f"{c.tolerance:g}", f"{c.mean_delta:.2g}"] if c else []
        deltas += [str(len(c.differing)), str(len(c.ties))] if c else []
        speed = f"{answer.images_per_second:,.0f}"
        table.add_row(name, answer.version.partition("+")[0], str(len(answer.scores)), *judged, speed, *deltas)
    for name in report.failures:
        table.add_row(name, "failed")
    for name in report.unavailable:
        table.add_row(name, "not compared")
    return table


def layer_table(layers: list[LayerDelta]) -> Table:
    """One row a layer and blob."""
    table = Table(title="PyTorch and ONNX Runtime, layer by layer")
    for title in ("layer", "blob", "largest value", "max |Δ|", ""):
        table.add_column(title, justify="left" if title in LEFT else "right")
    for row in layers:
        table.add_row(row.layer, row.blob, f"{row.scale:.3g}", f"{row.max_delta:.2g}", "DEPARTS" if row.departs else "")
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
