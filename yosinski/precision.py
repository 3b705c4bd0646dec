"""What half precision does to a model's answers, measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from yosinski.images import Images
from yosinski.onnx_model import dims_of, one_line, takes_pixels
from yosinski.runtimes import onnx_session
from yosinski.verify_report import compare, judge

IMAGES = 1000  # measured on, unless the database has fewer
RANDOM_IMAGES = 64
BATCH = 32
RANDOM_PIXELS, RANDOM_VALUES = "random pixels", "random values"  # the latter for nets with other inputs than images

Feed = dict[str, NDArray]


@dataclass(frozen=True)
class PrecisionReport:
    """float16 against float32, in ONNX Runtime on the CPU.

    Attributes:
        source: the database, ``RANDOM_PIXELS`` or ``RANDOM_VALUES``.
        images: how many; for other inputs than images, rows of the first output.
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
    def _images(self) -> str:
        return f"{self.images} {'rows' if self.source == RANDOM_VALUES else 'images'}"

    @property
    def text(self) -> str:
        """One line."""
        accuracy = f"top-1 {self.top1[1]:.4f}, in float32 {self.top1[0]:.4f}; " if self.top1 else ""
        return (
            f"float16 on {self._images} ({self.source}): {accuracy}same class on top in {self.agreement:.2%}, "
            f"max |Δ| {self.max_delta:.2g}, mean |Δ| {self.mean_delta:.2g}; "
            f"{self.bytes[1]:,} bytes instead of {self.bytes[0]:,}"
        )

    @property
    def metadata(self) -> dict[str, object]:
        """The same for the model's metadata."""
        found: dict[str, object] = {
            "float16_measured_on": f"{self._images}, {self.source}",
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
    """Run the same images through both models and compare their first output.

    Args:
        single, half: a model in float32 and in float16.
        db: an LMDB or LevelDB of labelled images; None: random pixels for inputs of four axes, random zeros and ones,
            which also serve as marks, choices and indices, for others.
        transform: the TransformationParameter of the images.
        limit: the first so many images of the database only.

    Raises:
        CaffeError: the images are not those that the models take, or they cannot run on random values.
    """
    sizes = single.ByteSize(), half.ByteSize()
    output = single.graph.output[0].name
    sessions = [onnx_session(model.SerializeToString(), "the model") for model in (single, half)]
    source = f"database {db.name}" if db else _random_source(single)
    labels: list[Any] = []
    scores: tuple[list[Any], list[Any]] = ([], [])
    for feed, of_images in _database(single, db, transform, limit) if db else _random(single, transform):
        labels.append(of_images)
        for session, found in zip(sessions, scores):
            found.append(_rows(session, output, feed, source))
    reference, reduced = (np.concatenate(found) for found in scores)
    difference = compare(reference, reduced, 0)
    accuracies = None
    if db:
        first, second = (judge(found, np.concatenate(labels))["top1"] for found in (reference, reduced))
        accuracies = (first or 0.0, second or 0.0)
    return PrecisionReport(
        source,
        len(reference),
        difference.max_delta,
        difference.mean_delta,
        float((reference.argmax(1) == reduced.argmax(1)).mean()),
        accuracies,
        sizes,
    )


def _rows(session: Any, output: str, feed: Feed, source: str) -> NDArray[np.float32]:
    try:
        (top,) = session.run([output], feed)
    except Exception as error:  # its exceptions have no common class of their own
        raise CaffeError(f"float16 cannot be measured on {source}: {one_line(error)}") from None
    top = np.atleast_1d(top)
    return top.reshape(len(top), math.prod(top.shape[1:]))


def _database(
    model: onnx.ModelProto, db: Path, transform: Any, limit: int
) -> Iterator[tuple[Feed, NDArray[np.int64] | None]]:
    inputs = model.graph.input
    if len(inputs) != 1 or len(dims_of(inputs[0])) != 4:
        names = ", ".join(f"{value.name!r} {dims_of(value)}" for value in inputs) or "none"
        raise CaffeError(f"--db measures float16 for nets with one input of images; this one has {names}")
    pixels, shape = takes_pixels(inputs[0]), dims_of(inputs[0])[1:]
    with Images(db, transform, BATCH, limit, pixels=pixels) as images:
        given = images.stored_shape if pixels else images.shape
        if list(given) != shape:
            raise CaffeError(f"{db}: gives images {list(given)}, the net takes {shape}")
        for batch in images:
            values = batch.pixels if pixels else batch.data
            assert values is not None
            yield {inputs[0].name: values}, batch.labels


def _random_source(model: onnx.ModelProto) -> str:
    return RANDOM_PIXELS if {len(dims_of(value)) for value in model.graph.input} == {4} else RANDOM_VALUES


def _random(model: onnx.ModelProto, transform: Any) -> Iterator[tuple[Feed, None]]:
    """For images random pixels, less the middle of their range where a mean belongs."""
    random = np.random.default_rng(0)
    centre = 127.5 if transform.mean_file or transform.mean_value else 0.0
    for _ in range(0, RANDOM_IMAGES, BATCH):
        feed: Feed = {}
        for value in model.graph.input:
            shape = [BATCH if isinstance(size, str) else size for size in dims_of(value)]
            if len(shape) != 4:
                feed[value.name] = random.integers(0, 2, shape).astype(np.float32)
                continue
            pixels = random.integers(0, 256, shape, np.uint8)
            data = (pixels.astype(np.float32) - np.float32(centre)) * np.float32(transform.scale)
            feed[value.name] = pixels if takes_pixels(value) else data
        yield feed, None
