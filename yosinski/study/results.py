"""What a study found: a table with a row a net, means by family and layer, and the report's page."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError
from yosinski.audit.numbers import top1_statistic
from yosinski.logs import find_logs, read_run
from yosinski.net_names import parse_name
from yosinski.report.points import BEST_TESTS
from yosinski.study.folder import Folder

COLUMNS = (
    "net", "family", "split", "base", "target", "n", "iterations", "top1", "last_top1", "last_loss",
    "runtimes_agree", "max_delta", "weights_sha256",
)  # fmt: skip
FAMILIES = {  # as the paper names the curves: of the nets on random halves, of those on unlike ones, and on all classes
    "BnB": ("selffer", False),
    "BnB+": ("selffer+", False),
    "AnB": ("transfer", False),
    "AnB+": ("transfer+", False),
    "AnB natman": ("transfer", True),
    "random": ("random", False),
}


def write_report(folder: Folder, study: dict[str, Any]) -> None:
    """Write results.csv, and the page and figures of `yosinski report`. CaffeError if the latter fails."""
    rows = [_row(folder, net) for net in study["nets"]]
    with writing(folder.results) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    command = [sys.executable, "-m", "yosinski", "report", "--out", str(folder.results.parent)]
    if study["images"] == "fashion":
        command.append("--no-original")  # other nets, other images
    if importlib.util.find_spec("matplotlib") is None:
        command.append("--html")
    runs = [str(folder.run(net["name"]).path) for net in study["nets"]]
    made = subprocess.run([*command, *runs], stderr=subprocess.PIPE, text=True)
    if made.returncode:
        lines = made.stderr.strip().splitlines() or [f"exit code {made.returncode}"]
        raise CaffeError(f"{folder.results.parent}: no page: {lines[-1].removeprefix('yosinski: ')}")


def _row(folder: Folder, net: dict[str, Any]) -> dict[str, Any]:
    run, spec = folder.run(net["name"]), parse_name(net["name"])
    tests = read_run(find_logs(run.path)).tests
    tests = tests[tests["iteration"] > 0]
    if not len(tests):
        raise CaffeError(f"{run.log}: no test in it")
    verified = json.loads((run.path / "verify.json").read_text(encoding="utf-8"))
    deltas = [made["against_reference"] for made in verified["runtimes"].values() if made["against_reference"]]
    return {
        "net": net["name"],
        "family": net["family"],
        "split": net["split"] or "whole",
        "base": spec.base if spec.base_spec else "",
        "target": spec.target or "whole",
        "n": net["n"],
        "iterations": net["iterations"],
        "top1": f"{top1_statistic(tests, None, min(BEST_TESTS, len(tests))):.6f}",
        "last_top1": f"{tests['top1'][-1]:.6f}",
        "last_loss": f"{tests['loss'][-1]:.6f}",
        "runtimes_agree": verified["ok"],
        "max_delta": f"{max((delta['max_delta'] for delta in deltas), default=float('nan')):.2g}",
        "weights_sha256": run.meta["weights"]["sha256"],
    }


def read_results(path: Path) -> list[dict[str, str]]:
    """The rows of results.csv. CaffeError if there is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise CaffeError(f"{path}: no results yet") from None


def table(rows: Sequence[dict[str, str]]) -> Any:
    """Mean top-1 by layer and family, with the number of nets where that is not one, as a rich table."""
    from rich.table import Table

    families = {title: key for title, key in FAMILIES.items() if _mean(rows, *key)}
    made = Table(title="top-1, mean of the nets of a family", caption=_footnote(rows), caption_justify="left")
    made.add_column("n", justify="right")
    for title in families:
        made.add_column(title, justify="right")
    for n in sorted({int(row["n"]) for row in rows} - {0}):
        made.add_row(str(n), *(_mean(rows, *key, n=n) for key in families.values()))
    return made


def _footnote(rows: Sequence[dict[str, str]]) -> str:
    bases = {
        "base nets of random halves": _mean(rows, "base", False),
        "of unlike halves": _mean(rows, "base", True),
        "on all classes": _mean(rows, "whole", False),
    }
    reduced = {
        f"{int(row['net'].split('-')[1])} images a class": row["top1"][:6] for row in rows if row["family"] == "reduced"
    }
    return ", ".join(f"{what} {value}" for what, value in {**bases, **reduced}.items() if value)


def _mean(rows: Sequence[dict[str, str]], family: str, natman: bool, n: int | None = None) -> str:
    """The mean of the nets of a family, and their number; empty if there are none."""
    found = [
        float(row["top1"])
        for row in rows
        if row["family"] == family and (row["split"] == "natman") == natman and n in (None, int(row["n"]))
    ]
    return f"{fmean(found):.4f}{f' ({len(found)})' if len(found) > 1 else ''}" if found else ""
