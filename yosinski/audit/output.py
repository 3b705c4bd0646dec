"""The audit as a table: one row a run, for CSV, JSON and people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yosinski.audit.finding import Finding
from yosinski.audit.rules import Rules
from yosinski.audit.run import Run
from yosinski.audit.runs import Audited
from yosinski.logs import find_logs
from yosinski.original import nets
from yosinski.provenance import describe_file

CHECKS = ("top1", "loss", "rate", "recipe", "inputs", "weights", "stream")


def row(one: Audited) -> dict[str, Any]:
    """What the audit says of a run, and what that rests on: hashes of log, weights and exported net, seed, images."""
    found: dict[str, Any] = {"run": str(one.path), "reference": one.reference, "verdict": one.verdict}
    top1, loss, stream = (one.finding(check) for check in ("top1", "loss", "stream"))
    if one.run is not None:
        tests = one.run.log.tests
        original = nets().get(one.reference)
        found |= {
            "iteration": one.run.iteration,
            "top1": value(top1, "ours"),
            "reference_top1": value(top1, "theirs"),
            "difference": value(top1, "difference"),
            "limit": value(top1, "limit"),
            "visible": value(top1, "visible"),
            "last_top1": float(tests["top1"][-1]) if len(tests) else None,
            "reference_last_top1": original.last_top1 if original is not None and original.has_log else None,
            "loss": value(loss, "ours"),
            "reference_loss": value(loss, "theirs"),
            "stream_r": value(stream, "r"),
            "stream_low": value(stream, "low"),
            "stream_high": value(stream, "high"),
            **provenance(one.run),
        }
    for check in CHECKS:
        finding = one.finding(check)
        found[f"{check}_verdict"] = finding.verdict if finding else ""
    found["unreadable_lines"] = len(one.problems)
    found["reasons"] = "; ".join(f.text for f in one.findings if f.verdict != "pass")
    return found


def provenance(run: Run) -> dict[str, Any]:
    """Seed, images seen, SHA-256 of log, weights and ONNX file, and what ``yosinski verify --json`` found there."""
    weights = run.dir.newest_weights()
    onnx = weights.with_suffix(".onnx") if weights is not None else None
    return {
        "seed": run.meta.get("seed"),
        "images_seen": run.iteration * run.batch_size,
        "log_sha256": " ".join(describe_file(path)["sha256"] for path in find_logs(run.path)),
        "weights_sha256": describe_file(weights)["sha256"] if weights is not None else None,
        "onnx_sha256": describe_file(onnx)["sha256"] if onnx is not None and onnx.is_file() else None,
        **verification(run.path / "verify.json"),
    }


def verification(path: Path) -> dict[str, Any]:
    """Whether the runtimes agree, and by how much they differ; None where nobody has looked."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        runtimes = report["runtimes"].values()
        deltas = [runtime["against_reference"]["max_delta"] for runtime in runtimes if runtime["against_reference"]]
        return {"runtimes_agree": bool(report["ok"]), "max_delta": max(deltas, default=None)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"runtimes_agree": None, "max_delta": None}


def value(finding: Finding | None, name: str) -> float | None:
    return finding.values.get(name) if finding is not None else None


def to_csv(audited: Sequence[Audited]) -> str:
    """One line a run, under a head with the names of the columns."""
    rows = [row(one) for one in audited]
    columns = list(dict.fromkeys(column for line in rows for column in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(audited: Sequence[Audited], common: Finding, rules: Rules) -> str:
    """Everything: rows, findings with their numbers, unreadable lines, and the version of the rules."""
    runs = [
        row(one) | {"findings": [vars(finding) for finding in one.findings], "problems": [str(p) for p in one.problems]}
        for one in audited
    ]
    return json.dumps({"rules": rules.version, "joint": vars(common), "runs": runs}, indent=2, allow_nan=False) + "\n"
