"""What a verification found: accuracies of each runtime, differences between them, a verdict, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError

if TYPE_CHECKING:
    from yosinski.verify_layers import LayerDelta

FLT_MIN = float(np.finfo(np.float32).tiny)  # the smallest probability whose logarithm Caffe takes


@dataclass
class Answers:
    """One runtime's scores, float32 (images, classes), and how fast they came, reading and warm-up left out.

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
        tolerance: of the scores.
        max_delta, mean_delta: of their absolute differences.
        differing: images (by their place in the database) with another class on top, ties left out.
        ties: such images where the reference's scores of the two classes are closer than the tolerance can tell apart.
    """

    tolerance: float
    max_delta: float
    mean_delta: float
    differing: list[int]
    ties: list[int]


class VerifyReport:
    """The answers of several runtimes to the same images.

    Attributes:
        labels: of the images, int64.
        answers: by runtime; the first is the reference.
        failures: runtimes that should have answered, and why they did not.
        unavailable: runtimes that this machine does not have, and what is missing.
        judged: top1, top5 (None below five classes) and log_loss (None if the scores are no probabilities) by runtime.
        comparisons: by runtime, without the reference.
        departures: what the file holds or says that its sources do not give, one line each.
        layers: the blobs of PyTorch and ONNX Runtime compared, if that was asked for.
    """

    def __init__(self, onnx: Path, db: Path, tolerance: float) -> None:
        self.onnx, self.db, self.tolerance = onnx, db, tolerance
        self.labels: NDArray[np.int64] = np.zeros(0, np.int64)
        self.answers: dict[str, Answers] = {}
        self.failures: dict[str, str] = {}
        self.unavailable: dict[str, str] = {}
        self.judged: dict[str, dict[str, float | None]] = {}
        self.comparisons: dict[str, Comparison] = {}
        self.departures: list[str] = []
        self.layers: list[LayerDelta] | None = None

    def compare(self, answers: dict[str, Answers], looser: Mapping[str, float] | None = None) -> None:
        """Take the answers, judge them by the labels, and hold all others against the first.

        ``looser``: the least tolerance of some runtimes.
        """
        self.answers = answers
        reference, *others = answers or [""]
        for name, answer in answers.items():
            self.judged[name] = answer.judged or judge(answer.scores, self.labels[: len(answer.scores)])
        for name in others:
            both = min(len(answers[name].scores), len(answers[reference].scores))
            try:
                pair = answers[reference].scores[:both], answers[name].scores[:both]
                self.comparisons[name] = compare(*pair, max(self.tolerance, (looser or {}).get(name, 0)))
            except CaffeError as error:
                self.failures[name] = str(error)

    @property
    def images(self) -> int:
        return len(self.labels)

    @property
    def ok(self) -> bool:
        """Whether at least two runtimes answered, none failed, all agree, and the file is what its sources give.

        Agree: no score differs by more than the tolerance, and each image has the same class on top, but for ties; if
        asked for, no layer departs.
        """
        agree = all(self._agrees(comparison) for comparison in self.comparisons.values())
        return bool(self.comparisons) and agree and not self.failures and not self.departures and not self.first_layer

    def _agrees(self, comparison: Comparison) -> bool:
        return comparison.max_delta <= comparison.tolerance and not comparison.differing

    @property
    def first_layer(self) -> LayerDelta | None:
        """The first layer that departs."""
        return next((layer for layer in self.layers or () if layer.departs), None)

    @property
    def verdict(self) -> str:
        """One line."""
        if self.ok:
            ties = sum(len(c.ties) for c in self.comparisons.values())
            but = f" but for {ties} tie(s)" if ties else ""
            names, most = ", ".join(self.answers), max(c.tolerance for c in self.comparisons.values())
            return f"agree: {names} on {self.images} images{but}, max |Δ| {self.max_delta:.2g} <= {most:g}"
        parts = [f"{name} failed: {reason}" for name, reason in self.failures.items()]
        reference = next(iter(self.answers), "")
        for name, c in self.comparisons.items():
            if not self._agrees(c):
                first = f", the first is image {c.differing[0]}" if c.differing else ""
                delta = f"max |Δ| {c.max_delta:.2g} (tolerance {c.tolerance:g})"
                parts.append(f"{name} DISAGREES with {reference}: {delta}, {len(c.differing)} images differ{first}")
        if self.first_layer:
            layer = self.first_layer
            parts.append(
                f"first layer that departs: {layer.layer} (blob {layer.blob}), max |Δ| {layer.max_delta:.2g}, "
                f"largest value {layer.scale:.2g}"
            )
        parts += self.departures
        if not parts:
            return "nothing to compare: fewer than two runtimes answered"
        return "; ".join(parts)

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
                    "images": len(answer.scores),
                    "images_per_second": answer.images_per_second,
                    **self.judged[name],
                    "against_reference": asdict(self.comparisons[name]) if name in self.comparisons else None,
                }
                for name, answer in self.answers.items()
            },
            "failures": self.failures,
            "unavailable": self.unavailable,
            "departures": self.departures,
            "layers": None if self.layers is None else [asdict(layer) for layer in self.layers],
        }


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
        tolerance,
        float(delta.max(initial=0)),
        float(delta.mean(dtype=np.float64)) if delta.size else 0.0,
        [int(i) for i in apart if not tie[i]],
        [int(i) for i in apart if tie[i]],
    )
