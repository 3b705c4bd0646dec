"""What a verification found: accuracies of each runtime, differences between them, a verdict, as table and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError

FLT_MIN = float(np.finfo(np.float32).tiny)  # the smallest probability whose logarithm Caffe takes


@dataclass
class Answers:
    """One runtime's scores, float32 (images, classes), and how fast they came.

    ``judged``: top1, top5 and log_loss where the runtime computes them itself.
    """

    version: str
    scores: NDArray[np.float32]
    images_per_second: float
    judged: dict[str, float | None] | None = None


@dataclass(frozen=True)
class Comparison:
    """One runtime held against the reference.

    Attributes:
        max_delta, mean_delta: of the absolute differences of the scores.
        differing: images (by their place in the database) with another class on top, ties left out.
        ties: such images where the reference's scores of the two classes are closer than the tolerance can tell apart.
    """

    max_delta: float
    mean_delta: float
    differing: list[int]
    ties: list[int]


class VerifyReport:
    """The answers of several runtimes to the same images.

    Attributes:
        answers: by runtime; the first is the reference.
        failures: runtimes that should have answered, and why they did not.
        unavailable: runtimes that this machine does not have, and what is missing.
        judged: top1, top5 (None below five classes) and log_loss (None if the scores are no probabilities) by runtime.
        comparisons: by runtime, without the reference.
    """

    def __init__(
        self,
        onnx: Path,
        db: Path,
        tolerance: float,
        labels: NDArray[np.int64],
        answers: dict[str, Answers],
        failures: dict[str, str],
        unavailable: dict[str, str],
    ) -> None:
        self.onnx, self.db, self.tolerance = onnx, db, tolerance
        self.images = len(labels)
        self.answers, self.failures, self.unavailable = answers, dict(failures), unavailable
        self.judged = {name: answer.judged or judge(answer.scores, labels) for name, answer in answers.items()}
        self.comparisons: dict[str, Comparison] = {}
        reference, *others = answers or [""]
        for name in others:
            try:
                self.comparisons[name] = compare(answers[reference].scores, answers[name].scores, tolerance)
            except CaffeError as error:
                self.failures[name] = str(error)

    @property
    def ok(self) -> bool:
        """Whether at least two runtimes answered, none failed, and all agree.

        Agree: no score differs by more than the tolerance, and each image has the same class on top, but for ties.
        """
        agree = all(c.max_delta <= self.tolerance and not c.differing for c in self.comparisons.values())
        return bool(self.comparisons) and agree and not self.failures

    @property
    def verdict(self) -> str:
        """One line."""
        if self.ok:
            ties = sum(len(c.ties) for c in self.comparisons.values())
            but = f" but for {ties} tie(s)" if ties else ""
            names = ", ".join(self.answers)
            return f"agree: {names} on {self.images} images{but}, max |Δ| {self.max_delta:.2g} <= {self.tolerance:g}"
        if self.failures:
            return "; ".join(f"{name} failed: {reason}" for name, reason in self.failures.items())
        if not self.comparisons:
            return "nothing to compare: fewer than two runtimes answered"
        parts = []
        for name, c in self.comparisons.items():
            if c.max_delta > self.tolerance or c.differing:
                first = f", the first is image {c.differing[0]}" if c.differing else ""
                parts.append(f"{name}: max |Δ| {c.max_delta:.2g}, {len(c.differing)} images differ{first}")
        return f"DISAGREE with {next(iter(self.answers))} (tolerance {self.tolerance:g}): {'; '.join(parts)}"

    @property
    def max_delta(self) -> float:
        """The largest difference of any runtime from the reference; nan if there is nothing to compare."""
        return max((c.max_delta for c in self.comparisons.values()), default=float("nan"))

    def to_json(self) -> dict[str, Any]:
        """Everything but the scores, for ``json.dump``."""
        return {
            "onnx": str(self.onnx),
            "db": str(self.db),
            "images": self.images,
            "tolerance": self.tolerance,
            "ok": self.ok,
            "verdict": self.verdict,
            "runtimes": {
                name: {
                    "version": answer.version,
                    "images_per_second": answer.images_per_second,
                    **self.judged[name],
                    "against_reference": asdict(self.comparisons[name]) if name in self.comparisons else None,
                }
                for name, answer in self.answers.items()
            },
            "failures": self.failures,
            "unavailable": self.unavailable,
        }

    def table(self) -> Any:
        """A rich table, one row a runtime."""
        from rich.table import Table

        table = Table(caption=self.verdict)
        for title in (
            "runtime",
            "version",
            "top-1",
            "top-5",
            "log loss",
            "img/s",
            "max |Δ|",
            "mean |Δ|",
            "differ",
            "ties",
        ):
            table.add_column(title, justify="left" if title in ("runtime", "version") else "right")
        for name, answer in self.answers.items():
            row = [_number(self.judged[name][key], ".4f") for key in ("top1", "top5", "log_loss")]
            c = self.comparisons.get(name)
            deltas = [f"{c.max_delta:.2g}", f"{c.mean_delta:.2g}", str(len(c.differing)), str(len(c.ties))] if c else []
            table.add_row(name, answer.version, *row, f"{answer.images_per_second:,.0f}", *deltas)
        for name, reason in {**self.failures, **self.unavailable}.items():
            if name not in self.answers:
                table.add_row(name, reason)
        return table


def judge(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float | None]:
    """Accuracies by Caffe 1.0's rule, by which a tie counts as wrong, and the mean of -log(probability of the label).

    top5 is None below five classes, log_loss where the scores are no probabilities.
    """
    count, classes = scores.shape
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        place = int(wrong.argmax())
        raise CaffeError(f"image {place}: label {labels[place]} is not one of the {classes} classes of the net")
    true = scores[np.arange(count), labels]
    rank = (scores >= true[:, None]).sum(1)
    sums = scores.sum(1, dtype=np.float64)
    is_probability = bool((scores >= 0).all() and (np.abs(sums - 1) < 1e-3).all())
    loss = -np.log(np.maximum(true, np.float32(FLT_MIN))).mean(dtype=np.float64)
    return {
        "top1": float((rank <= 1).mean()),
        "top5": float((rank <= 5).mean()) if classes >= 5 else None,
        "log_loss": float(loss) if is_probability else None,
    }


def compare(reference: NDArray[np.float32], scores: NDArray[np.float32], tolerance: float) -> Comparison:
    """Hold one runtime's scores against the reference's, both (images, classes)."""
    if scores.shape != reference.shape:
        raise CaffeError(f"gives scores of shape {list(scores.shape)}, the reference {list(reference.shape)}")
    delta = np.abs(scores - reference)
    delta = np.where(np.isnan(delta), np.where(np.isnan(scores) & np.isnan(reference), 0, np.inf), delta)
    rows = np.arange(len(reference))
    mine, theirs = reference.argmax(1), scores.argmax(1)
    apart = np.flatnonzero(mine != theirs)
    tie = reference[rows, mine] - reference[rows, theirs] <= 2 * tolerance  # each of the two may be off by one
    return Comparison(
        float(delta.max(initial=0)),
        float(delta.mean(dtype=np.float64)) if delta.size else 0.0,
        [int(i) for i in apart if not tie[i]],
        [int(i) for i in apart if tie[i]],
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
