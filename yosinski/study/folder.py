"""A study on disk: ``study.json``, ``Snakefile``, the definitions in ``nets/``, and what comes of them.

data/      images, indices and means, unless these lie elsewhere      steps/   what is done of that
runs/NAME  a run directory for each net, with done.json, its ONNX model and verify.json
report/    results.csv, and the report's page and figures
"""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from caffe_compat.atomic import write_text, writing
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text
from yosinski.run_dir import RunDir
from yosinski.study.plan import Net, Plan
from yosinski.study.tasks import RESULTS, make_tasks

SNAKEFILE = Path(__file__).parent / "Snakefile"
DECISIVE = ("preset", "nets", "data", "compat", "origin", "verify_images")  # what cannot change once begun


@dataclass(frozen=True)
class Options:
    """What a study is made of besides its plan.

    Attributes:
        data: the folder of images, indices and means; None: ``data`` in the study's.
        origin: where the pictures are that are still to be prepared: ``train``, ``valid``, ``valid_labels``; empty for
            a data folder that `yosinski data prepare` has filled already.
        compat: as for `yosinski train`.
    """

    data: Path | None = None
    origin: dict[str, str] = field(default_factory=dict)
    compat: str = "1.0"


class Folder:
    """The paths of a study, and its study.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.study = path / "study.json"
        self.runs = path / "runs"
        self.log = path / "snakemake.log"
        self.results = path / RESULTS

    def run(self, name: str) -> RunDir:
        """The run directory of a net."""
        return RunDir(self.runs / name)

    def solver(self, name: str) -> Path:
        return self.path / "nets" / f"{name}_solver.prototxt"

    def net(self, name: str) -> Path:
        return self.path / "nets" / f"{name}.prototxt"

    def read(self) -> dict[str, Any]:
        """What study.json says. CaffeError if there is none, or a damaged one."""
        try:
            found: dict[str, Any] = json.loads(self.study.read_text(encoding="utf-8"))
            return found
        except FileNotFoundError:
            raise CaffeError(f"{self.path}: no study here; `yosinski study run` begins one") from None
        except ValueError as error:
            raise CaffeError(f"{self.study}: damaged: {error}") from None

    def write(self, plan: Plan, options: Options) -> None:
        """Lay the study out, or find it as it would be laid out.

        Raises:
            CaffeError: another study is there, or a definition has been changed.
        """
        data = str(options.data.absolute()) if options.data else "data"
        facts = {
            "preset": plan.preset.name,
            "title": plan.preset.title,
            "images": plan.preset.images,
            "nets": [net.to_json() for net in plan.nets],
            "datasets": plan.datasets,
            "valid_sets": sorted({net.spec.valid_set for net in plan.nets} - {"whole"}),
            "data": data,
            "origin": options.origin,
            "compat": options.compat,
            "verify_images": plan.preset.verify_images,
            "together": [[net.name for net in group] for group in plan.groups],
            "data_seeds": data_seeds(plan),
            "torch_threads": 1 if plan.preset.images == "fashion" else None,  # the last bits depend on it
            "results": RESULTS,
            "tasks": [task.to_json() for task in make_tasks(plan)],
        }
        if self.study.exists():
            self._check_same(facts)
            facts["data_seeds"] = self.read().get("data_seeds", {})  # with which it was begun
        for net in plan.nets:
            self._write_definitions(plan, net, data)
        with writing(self.path / "Snakefile") as temporary:
            shutil.copyfile(SNAKEFILE, temporary)
        write_text(self.study, json.dumps(facts, indent=1) + "\n")

    def _check_same(self, facts: dict[str, Any]) -> None:
        there = self.read()
        for key in DECISIVE:
            if there.get(key) != facts[key]:
                what = "other nets or iterations" if key == "nets" else f"{key} {json.dumps(there.get(key))}"
                raise CaffeError(
                    f"{self.path}: a study with {what} is there already; choose another folder for this one"
                )

    def _write_definitions(self, plan: Plan, net: Net, data: str) -> None:
        scale = replace(plan.preset.scale, data=data)
        solver = plan.solver_of(net.spec)
        solver.net = str(self.net(net.name).relative_to(self.path))
        solver.snapshot_prefix = f"runs/{net.name}/{net.name}"
        if not solver.HasField("random_seed"):
            solver.random_seed = zlib.crc32(net.name.encode()) >> 1  # any fixed number, so that it can be repeated
        _write_once(self.net(net.name), net.spec.definition(scale), caffe_pb2.NetParameter)
        _write_once(self.solver(net.name), text.format(solver), caffe_pb2.SolverParameter)


def data_seeds(plan: Plan) -> dict[str, int]:
    """A data seed for each training set, any fixed number, so that nets on the same images see the same crops."""
    return {name: zlib.crc32(name.encode()) >> 1 for name in sorted({net.spec.train_set for net in plan.nets})}


def _write_once(path: Path, content: str, kind: Any) -> None:
    """Write a prototxt, or find one that means the same."""
    if path.exists():
        there = path.read_text(encoding="utf-8", errors="replace")
        if there != content and text.parse(there, kind, source=str(path)) != text.parse(
            content, kind, source=str(path)
        ):
            raise CaffeError(
                f"{path}: has changed since the study was begun; put it back, or remove it to have it anew"
            )
        return
    write_text(path, content)
