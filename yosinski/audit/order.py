"""The check of the data stream: a run's displayed losses against those of a net that saw the same images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yosinski.audit.finding import Finding, Verdict
from yosinski.audit.rules import StreamRules
from yosinski.audit.run import Role, Run
from yosinski.audit.stream import Fingerprint, compare, first_batch, read_stream
from yosinski.original import OriginalNet, logged, nets

Starts = tuple[int | None, ...]
VERDICTS: dict[str, Verdict] = {"same": "pass", "other": "fail", "undecided": "undecided"}


def against_original(run: Run, role: Role, rules: StreamRules) -> Finding:
    """Against the original net, or if that shows no order, against the first that was trained on the same set.

    A net of another set is compared as well, as a control.
    """
    original = companion(role)
    if original is None:
        return Finding("stream", "undecided", "no original log of a net on this training set")
    first = first_batch(min(run.iteration, int(original.losses()["iteration"][-1])), rules)
    print_of, how = best(run, original.losses(), original.process_starts, original.classes, first, rules)
    other = nets()["half0B" if role.half == "0A" else "half0A"]
    control, _ = best(run, other.losses(), other.process_starts, original.classes, first, rules)
    held = f"; with {other.name}, on other images, {describe(control)}"
    return finding(print_of, original.name, how, held)


def against_run(run: Run, other: Run, rules: StreamRules) -> Finding:
    """Against another run of the same net."""
    first = first_batch(min(run.iteration, other.iteration), rules)
    print_of, how = best(run, other.log.losses, tuple(other.starts), run.classes, first, rules)
    return finding(print_of, str(other.path), how)


def companion(role: Role) -> OriginalNet | None:
    """The original net of that role, else the first logged one on the same training set; only nets that learned."""
    if role.original is not None and role.original.has_log and role.original.top1 > 0.1:
        return role.original
    wanted = role.original.training_set if role.original is not None else role.half
    return next((net for net in logged() if net.training_set == wanted and net.top1 > 0.1), None)


def best(
    run: Run, losses: NDArray[np.void], starts: Starts, classes: int, first: int, rules: StreamRules
) -> tuple[Fingerprint, str]:
    """The fingerprint by the closest of up to three readings of where the run's data began anew, and which that is.

    A resumed run reads on where it was, or from the first record, as Caffe does; a replay of an original does so where
    that did.
    """
    theirs = read_stream(losses, starts, rules, classes, first)
    readings: dict[Starts, str] = {(0,): ""}
    readings.setdefault(tuple(run.starts), ", its data beginning anew at each resume")
    readings.setdefault(tuple(starts), ", its data beginning anew where the other's did")
    found = [
        (compare(read_stream(run.log.losses, reading, rules, classes, first), theirs, rules), says)
        for reading, says in readings.items()
    ]
    return max(found, key=lambda pair: pair[0].r if np.isfinite(pair[0].r) else -2)


def finding(print_of: Fingerprint, name: str, how: str, control: str = "") -> Finding:
    if not np.isfinite(print_of.r):
        return Finding("stream", "undecided", print_of.reason)
    says = {
        "same": "the same images in the same order",
        "other": "other images or another order",
        "undecided": print_of.reason,
    }[print_of.answer]
    text = f"{says}{how}: with {name} {describe(print_of)} on {print_of.points} batches{control}"
    values = {"r": print_of.r, "low": print_of.low, "high": print_of.high, "points": print_of.points}
    values |= {"control": print_of.control, "control_low": print_of.control_low, "control_high": print_of.control_high}
    return Finding("stream", VERDICTS[print_of.answer], text, values)


def describe(print_of: Fingerprint) -> str:
    return f"r = {print_of.r:.3f} [{print_of.low:.3f}, {print_of.high:.3f}]"
