"""What half precision does to a model's answers, measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from caffe_compat.errors import CaffeError
from yosinski.images import Batch, Images
from yosinski.runtimes import onnx_session
from yosinski.verify_report import compare, judge

IMAGES = 1000  # measured on, unless the database has fewer
RANDOM_IMAGES = 64
BATCH = 32


@dataclass(frozen=True)
class PrecisionReport:
    """float16 against float32, in ONNX Runtime on the CPU.

    Attributes:
        source: the database, or ``random pixels``.
        agreement: share of the images with the same class on top.
        top1: accuracies in float32 and in float16; None for random pixels.
        bytes: sizes of the two models.
    """

    source: str
    images: int
    max_delta: float
    mean_delta: float
    agreement: float
    top1: tuple[float, float] | None
    bytes: tuple[int, int]

    @property
    def text(self) -> str:
        """One line."""
        accuracy = f"top-1 {self.top1[1]:.4f}, in float32 {self.top1[0]:.4f}; " if self.top1 else ""
        return (
            f"float16 on {self.images} images ({self.source}): {accuracy}same class on top in {self.agreement:.2%}, "
            f"max |Δ| {self.max_delta:.2g}, mean |Δ| {self.mean_delta:.2g}; "
            f"{self.bytes[1]:,} bytes instead of {self.bytes[0]:,}"
        )

    @property
    def metadata(self) -> dict[str, object]:
        """The same for the model's metadata."""
        found: dict[str, object] = {
            "float16_measured_on": f"{self.images} images, {self.source}",
            "float16_top1_agreement": f"{self.agreement:.6f}",
            "float16_max_delta": f"{self.max_delta:.3g}",
            "float16_mean_delta": f"{self.mean_delta:.3g}",
        }
        if self.top1:
            found.update(float32_top1=f"{self.top1[0]:.6f}", float16_top1=f"{self.top1[1]:.6f}")
        return found


def measure(
    single: onnx.ModelProto, half: onnx.ModelProto, db: Path | None, transform: Any, limit: int = IMAGES
) -> PrecisionReport:
    """Run the same images through both models.

    Args:
        single, half: a model with one input, images, in float32 and in float16.
        db: an LMDB or LevelDB of labelled images; None: random pixels.
        transform: the TransformationParameter of the images.
        limit: the first so many images of the database only.

    Raises:
        CaffeError: the images are not those that the models take.
    """
    sizes = single.ByteSize(), half.ByteSize()
    (image,), output = single.graph.input, single.graph.output[0].name
    sessions = [onnx_session(model.SerializeToString(), "the model") for model in (single, half)]
    takes_pixels = image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    shape = [dim.dim_value for dim in image.type.tensor_type.shape.dim][1:]
    labels, scores = [], ([], [])  # type: tuple[list[Any], tuple[list[Any], list[Any]]]
    for batch in _database(db, transform, limit, takes_pixels, shape) if db else _random(shape, transform):
        labels.append(batch.labels)
        for session, found in zip(sessions, scores):
            (top,) = session.run([output], {image.name: batch.pixels if takes_pixels else batch.data})
            found.append(top.reshape(len(top), -1))
    reference, reduced = (np.concatenate(found) for found in scores)
    difference = compare(reference, reduced, 0)
    accuracies = None
    if db:
        first, second = (judge(found, np.concatenate(labels))["top1"] for found in (reference, reduced))
        accuracies = (first or 0.0, second or 0.0)
    return PrecisionReport(
        f"database {db.name}" if db else "random pixels",
        len(reference),
        difference.max_delta,
        difference.mean_delta,
        float((reference.argmax(1) == reduced.argmax(1)).mean()),
        accuracies,
        sizes,
    )


def _database(db: Path, transform: Any, limit: int, pixels: bool, shape: list[int]) -> Iterator[Batch]:
    with Images(db, transform, BATCH, limit, pixels=pixels) as images:
        given = images.stored_shape if pixels else images.shape
        if list(given) != shape:
            raise CaffeError(f"{db}: gives images {list(given)}, the net takes {shape}")
        yield from images


def _random(shape: list[int], transform: Any) -> Iterator[Batch]:
    """Random pixels, less the middle of their range where a mean belongs."""
    random = np.random.default_rng(0)
    centre = 127.5 if transform.mean_file or transform.mean_value else 0.0
    for _ in range(0, RANDOM_IMAGES, BATCH):
        pixels = random.integers(0, 256, (BATCH, *shape), np.uint8)
        data = (pixels.astype(np.float32) - np.float32(centre)) * np.float32(transform.scale)
        yield Batch(data, pixels, np.zeros(BATCH, np.int64))
