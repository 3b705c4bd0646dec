"""What a check found, and what follows from several findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["pass", "fail", "undecided"]


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: top1, loss, stream, rate, recipe or weights.
        verdict: ``pass`` says that no difference was found where one could have been; ``undecided`` that the check
            could not be made, and ``text`` says why.
        text: one sentence.
        values: the numbers behind it, by name.
    """

    check: str
    verdict: Verdict
    text: str
    values: dict[str, float] = field(default_factory=dict)


def overall(findings: Iterable[Finding]) -> Verdict:
    """Fail if one check fails; pass if the top-1 passes and none fails; else undecided."""
    found = list(findings)
    if any(finding.verdict == "fail" for finding in found):
        return "fail"
    return "pass" if any(f.check == "top1" and f.verdict == "pass" for f in found) else "undecided"
