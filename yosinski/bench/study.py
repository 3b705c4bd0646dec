"""A whole study: nets trained together against one after the other, and the hours that all of them take here."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import torch

from yosinski.bench import together
from yosinski.bench.comparison import Comparison, Progress
from yosinski.bench.nets import FULL, MINI, Size
from yosinski.scales import SCALES
from yosinski.study.plan import make_plan
from yosinski.study.presets import PRESETS, find_preset
from yosinski.study.speed import measure as measure_speed
from yosinski.study.status import duration

CPU = torch.device("cpu")
IMAGES = 1000  # that a speed is shown for


def measure(
    sizes: Sequence[Size] = (MINI, FULL),
    rounds: int = 5,
    iterations: int = 40,
    device: torch.device = CPU,
    progress: Progress | None = None,
) -> Iterator[Comparison]:
    """What training together saves, and the hours of the presets whose nets are of these sizes."""
    yield from together.measure(rounds, iterations, device, progress)
    for size in sizes:
        yield hours(size, rounds if size is MINI else 1, device, progress)


def hours(size: Size, rounds: int, device: torch.device, progress: Progress | None = None) -> Comparison:
    """The time of every preset of a size, one net after the other, at the speed at which such a net trains here.

    It is the speed that `yosinski study plan --measure` measures and remembers.
    """
    scale = next(scale for name, scale in SCALES.items() if name == size.name)
    seconds = []
    for number in range(rounds):
        speed = measure_speed(scale, device)
        seconds.append(IMAGES / speed.images_per_second)
        if progress:
            progress(f"{size.title}, training", number + 1, rounds)
    an_image = statistics.median(seconds) / IMAGES
    facts: dict[str, float | str] = {}
    for preset in map(find_preset, PRESETS):
        if preset.scale.definition == scale.definition:
            plan = make_plan(preset)
            whole = plan.images * an_image
            each = duration(whole / len(plan.nets))
            facts[f"preset {preset.name}"] = f"{len(plan.nets)} nets, {each} each, {duration(whole)} in all"
    return Comparison(
        f"study/{size.name}-hours",
        f"{size.title}, {IMAGES} images in training, and whole studies net by net",
        {"training": seconds},
        work=IMAGES,
        facts=facts,
    )
