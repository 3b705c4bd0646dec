"""The tasks of a study, as Snakemake needs them: files in, files out, and the command in between."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from yosinski.study.plan import Net, Plan, chunks

IMAGES, SPLITS, MEANS = (f"steps/{step}.json" for step in ("images", "splits", "means"))
RESULTS = "report/results.csv"
TRAIN_THREADS = 4  # of a net that is trained on a GPU: they decode its images
HOURS = 24  # that a cluster is asked for; a net that takes longer goes on from its newest snapshot


@dataclass(frozen=True)
class Task:
    """One rule. Paths are relative to the study's folder; ``command`` is what follows ``yosinski study job``."""

    name: str
    inputs: list[str]
    outputs: list[str]
    command: str
    priority: int = 0
    threads: int = 1
    resources: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def make_tasks(plan: Plan) -> list[Task]:
    """All tasks; the first one is what the others lead to."""
    files = [verified(net) for net in plan.nets]
    tasks = [Task("report", files, [RESULTS], "report")]
    tasks += [
        Task("images", [], [IMAGES], "images", priority=9, threads=8, resources={"runtime": 60 * HOURS}),
        Task("splits", [IMAGES], [SPLITS], "splits", priority=9),
        Task("means", [SPLITS], [MEANS], "means", priority=9, threads=4),
    ]
    needed = {net.base for net in plan.nets}
    size = plan.preset.nets_per_job
    for job in plan.jobs:
        nets = [net for group in job for net in group]
        tasks.append(_train(plan, nets, first=any(net.name in needed for net in nets)))
    # Two processes' start is what one net's export and verification cost, so these groups may be larger.
    for group in chunks(plan.nets, 2 * size if size > 1 else 1):
        tasks.append(_task("onnx", group, [done(net) for net in group], [onnx(net) for net in group]))
        tasks.append(_task("verify", group, [onnx(net) for net in group], [verified(net) for net in group]))
    return tasks


def _train(plan: Plan, group: list[Net], first: bool) -> Task:
    gpu = {"gpu": 1, "runtime": 60 * HOURS} if plan.preset.images != "fashion" else {}
    return _task(
        "train",
        group,
        [MEANS, *([done_of(group[0].base)] if group[0].base else [])],
        [done(net) for net in group],
        priority=5 if first else 2,
        threads=TRAIN_THREADS if gpu else 1,
        resources={"slot": 1, **gpu},
    )


def _task(step: str, group: list[Net], inputs: list[str], outputs: list[str], **more: Any) -> Task:
    names = [net.name for net in group]
    return Task(f"{step}_{names[0]}".replace("-", "_"), inputs, outputs, " ".join([step, *names]), **more)


def done(net: Net) -> str:
    """The file that says that a net is trained."""
    return done_of(net.name)


def done_of(name: str) -> str:
    return f"runs/{name}/done.json"


def onnx(net: Net) -> str:
    """A trained net as ONNX."""
    return f"runs/{net.name}/{net.name}_iter_{net.iterations}.onnx"


def verified(net: Net) -> str:
    """The file that says how the runtimes agree on a net."""
    return f"runs/{net.name}/verify.json"
