"""What the tasks of a study do, each in the study's folder as current directory. Whatever is done stays as it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe_compat.atomic import write_text
from caffe_compat.errors import CaffeError
from caffe_compat.interrupt import INTERRUPTED
from yosinski.net_names import parse_name
from yosinski.provenance import describe_file
from yosinski.run_dir import RunDir
from yosinski.study import tasks
from yosinski.study.folder import Folder
from yosinski.study.follow import driver_gone, follow_driver, interrupt_me
from yosinski.study.slots import device_slot

if TYPE_CHECKING:
    from yosinski.training import Training

KEEP = 2  # snapshots of a net; those of CaffeNet would fill terabytes
PATIENCE_S = 60  # for a process that a killed driver left, to write its snapshot and end


def run_job(step: str, names: Sequence[str]) -> int:
    """Do one task and return the exit code. CaffeError if it fails."""
    if driver_gone():
        return INTERRUPTED
    follow_driver(interrupt_me)
    study = Folder(Path()).read()
    if study["torch_threads"] and step not in ONCE:
        import torch

        torch.set_num_threads(study["torch_threads"])
    if step == "train":
        return train(study, names)
    if step in PER_NET:
        _for_each(names, lambda name: PER_NET[step](study, name))
        return 0
    if step not in ONCE:
        raise CaffeError(f"{step!r} is no step of a study: expected {', '.join((*ONCE, 'train', *PER_NET))}")
    ONCE[step](study)
    return 0


def _for_each(names: Sequence[str], work: Callable[[str], None]) -> None:
    """Do the work for all nets, whatever becomes of some of them; then raise the first error."""
    errors = []
    for name in names:
        try:
            work(name)
        except CaffeError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def train(study: dict[str, Any], names: Sequence[str]) -> int:
    """Train nets, or go on with them, those in step that start from the same net and read the same images.

    ``done.json`` says that a net is trained. Those that fail do not keep the others from it; then the first error is
    raised.
    """
    errors: list[CaffeError] = []
    for _, group in groupby(names, lambda name: _start(study, name)):
        if not _train_together(study, list(group), errors):
            return INTERRUPTED
    if errors:
        raise errors[0]
    return 0


def _start(study: dict[str, Any], name: str) -> tuple[Any, ...]:
    spec = parse_name(name)
    return _net(study, name)["base"], spec.train_set, spec.valid_set


def _train_together(study: dict[str, Any], names: Sequence[str], errors: list[CaffeError]) -> bool:
    """Train nets together; False if they were stopped."""
    from yosinski import together
    from yosinski.device import find_device

    trainings, trained = [], []
    for name in names:
        try:
            training = _training(study, name)
        except CaffeError as error:
            errors.append(error)
            continue
        if training is None:
            trained.append(name)
        else:
            trainings.append(training)
    stopped = False
    if trainings:
        with device_slot() as device:
            where = find_device(device, prefer_cpu=trainings[0].wants_cpu)
            ends = together.train(trainings, where, quiet=True, keep=KEEP)
        for training, end in zip(trainings, ends):
            if isinstance(end, CaffeError):
                errors.append(end)
            elif end.finished:
                trained.append(training.run.name)
            else:
                stopped = True
    for name in trained:
        meta = Folder(Path()).run(name).meta
        facts = {"net": name, "iterations": meta["iteration"], "weights": meta["weights"], "scores": meta["scores"]}
        _note(Path(tasks.done_of(name)), {**facts, "tested_at": meta["tested_at"]})
    return not stopped


def _training(study: dict[str, Any], name: str) -> Training | None:
    """A net's training, from its beginning or its newest snapshot on; None if it is trained."""
    from yosinski.training import Training, Wish

    folder = Folder(Path())
    run, net = folder.run(name), _net(study, name)
    _wait_for(run)
    if finished(run, net["iterations"], folder.run(net["base"]) if net["base"] else None):
        return None
    begun = bool(run.snapshots("solverstate"))
    data_seed = None if begun else study.get("data_seeds", {}).get(parse_name(name).train_set)
    return Training(
        Wish(
            folder.net(name),
            solver=folder.solver(name),
            out=run.path,
            resume=begun,
            data_seed=data_seed,
            compat=study["compat"],
        )
    )


def finished(run: RunDir, iterations: int, base: RunDir | None) -> bool:
    """Whether a net is trained: its last iteration done, its log ended, its weights what they were then.

    Raises:
        CaffeError: it was, but its weights have changed since, or those that it started from.
    """
    meta = run.meta
    if meta.get("status") != "finished" or meta["iteration"] < iterations:
        return False
    again = f"remove {run.path} to train it again"
    weights = run.newest_weights()
    if weights is None or describe_file(weights)["sha256"] != meta["weights"]["sha256"]:
        raise CaffeError(f"{run.path}: its weights are missing or have changed since it finished; {again}")
    if b"Optimization Done." not in run.log.read_bytes()[-1000:]:
        raise CaffeError(f"{run.log}: the log of a finished run has no end; {again}")
    if base is not None and meta["files"]["weights"][0]["sha256"] != base.meta["weights"]["sha256"]:
        raise CaffeError(f"{run.path}: started from other weights of {base.name} than those now there; {again}")
    return True


def _net(study: dict[str, Any], name: str) -> dict[str, Any]:
    """What study.json says of a net."""
    found: dict[str, Any] = next(net for net in study["nets"] if net["name"] == name)
    return found


def _wait_for(run: RunDir) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while run.busy and time.monotonic() < deadline:
        time.sleep(0.1)


def export(study: dict[str, Any], name: str) -> None:
    """Write a trained net as ONNX."""
    from yosinski.export import export_run

    export_run(Folder(Path()).run(name).path)


def verify(study: dict[str, Any], name: str) -> None:
    """Compare the core runtimes on an exported net; whatever they say, ``verify.json`` says it."""
    from yosinski.verify import CORE
    from yosinski.verify_model import verify_model

    run = Folder(Path()).run(name)
    model = run.path / f"{name}_iter_{_net(study, name)['iterations']}.onnx"
    sample = _sample(Path(study["data"]), parse_name(name).valid_set)
    report = verify_model(model, db=sample, limit=study["verify_images"], runtimes=CORE)
    _note(run.path / "verify.json", report.to_json())


def images(study: dict[str, Any]) -> None:
    """Have the images of the whole."""
    data, origin = Path(study["data"]), {key: Path(value) for key, value in study["origin"].items()}
    if study["images"] == "fashion":
        from yosinski.study.fashion import write_whole

        write_whole(data)
    elif origin:
        from yosinski.dataset.prepare import Origin, prepare

        prepare(data, Origin(**origin))
    for part in ("train", "valid"):
        if not (data / f"{part}_lmdb" / "data.mdb").is_file():
            raise CaffeError(
                f"{data}: no {part}_lmdb here: `yosinski data prepare --out {data}` makes it; "
                "or --train and --valid say where the images are"
            )
    _note(Path(tasks.IMAGES), {"data": study["data"], **study["origin"]})


def splits(study: dict[str, Any]) -> None:
    """Write lists and indices of the datasets."""
    from yosinski.dataset.subsets import parts_of, read_whole, record_keys, write_chosen, write_subset
    from yosinski.study.fashion import unlike_half

    data = Path(study["data"])
    for part in ("train", "valid"):
        entries = read_whole(data, part)
        keys = record_keys(data, part, entries)
        for dataset in study["datasets"]:
            if part not in parts_of(dataset):
                continue
            if study["images"] == "fashion" and dataset.startswith("halfnatman"):
                write_chosen(data, dataset, part, unlike_half(entries, dataset[-1]), keys, "2014", 0)
            else:
                write_subset(data, dataset, part, entries, keys, "2014", 0)
    for dataset in study["valid_sets"]:
        _write_sample(data, dataset, study["verify_images"])
    _note(Path(tasks.SPLITS), {"datasets": study["datasets"]})


def _write_sample(data: Path, dataset: str, images: int | None) -> None:
    """Write the first images of a validation set as a real database, for runtimes that cannot read indices."""
    from caffe_compat.data.index_db import materialise

    target = _sample(data, dataset)
    if not target.exists():
        materialise(data / f"{dataset}_valid.index", target, limit=images)


def _sample(data: Path, dataset: str) -> Path:
    return data / ("valid_lmdb" if dataset == "whole" else f"{dataset}_sample_lmdb")


def means(study: dict[str, Any]) -> None:
    """Compute the means of the training sets, in one pass; those that are there are kept."""
    from caffe_compat.data.mean import write_mean
    from yosinski.dataset.means import index_means
    from yosinski.networks import mean_file

    data = Path(study["data"])
    missing = [name for name in ["whole", *study["datasets"]] if not (data / mean_file(name)).exists()]
    if missing:
        indices = {name: data / f"{name}_train.index" for name in missing if name != "whole"}
        for name, mean in index_means(data / "train_lmdb", indices).items():
            if name in missing:
                write_mean(data / mean_file(name), mean)
    _note(Path(tasks.MEANS), {"means": [mean_file(name) for name in ["whole", *study["datasets"]]]})


def report(study: dict[str, Any]) -> None:
    """Write the table of results, the page and, where matplotlib is installed, the figures."""
    from yosinski.study.results import write_report

    write_report(Folder(Path()), study)


def _note(path: Path, facts: dict[str, Any]) -> None:
    write_text(path, json.dumps(facts, indent=1) + "\n")


ONCE: dict[str, Callable[[dict[str, Any]], None]] = {
    "images": images,
    "splits": splits,
    "means": means,
    "report": report,
}
PER_NET: dict[str, Callable[[dict[str, Any], str], None]] = {"onnx": export, "verify": verify}
