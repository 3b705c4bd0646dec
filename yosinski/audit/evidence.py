"""What a run left behind: the learning rates in its log, the inputs that it noted, its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from yosinski.audit.finding import Finding
from yosinski.audit.recipe import SHOWN
from yosinski.audit.run import Run
from yosinski.original import OriginalNet
from yosinski.provenance import describe_file


def check_rate(run: Run, original: OriginalNet | None, other: Run | None) -> Finding:
    """Compare every learning rate that the log shows with the original's, or with those of another run."""
    losses = run.log.losses[np.isfinite(run.log.losses["lr"])]
    if other is not None:
        theirs = other.log.losses[np.isfinite(other.log.losses["lr"])]
        _, i, j = np.intersect1d(losses["iteration"], theirs["iteration"], return_indices=True)
        losses, wanted = losses[i], theirs["lr"][j]
    elif original is not None:
        wanted = original.rate(losses["iteration"])
    else:
        wanted = np.zeros(0)
    if not len(losses) or not len(wanted):
        return Finding("rate", "undecided", "no learning rate to compare")
    wrong = ~np.isclose(losses["lr"], wanted, rtol=1e-5, atol=0)
    if not wrong.any():
        return Finding("rate", "pass", f"{len(wanted)} learning rates are as expected", {"compared": len(wanted)})
    first = int(wrong.argmax())
    text = (
        f"learning rate {losses['lr'][first]:g} at iteration {losses['iteration'][first]}, expected {wanted[first]:g}; "
        f"{int(wrong.sum())} of {len(wanted)} differ"
    )
    return Finding("rate", "fail", text, {"compared": len(wanted), "different": int(wrong.sum())})


def check_inputs(run: Run, other: Run) -> Finding:
    """Compare the hashes of mean files and the sizes of databases that run.json notes with another run's."""
    mine, theirs = (inputs_of(one) for one in (run, other))
    if not mine or not theirs:
        return Finding("inputs", "undecided", "run.json does not say what was read")
    apart = [f"{name} was not read" for name in theirs if name not in mine]
    apart += [f"{name} should not have been read" for name in mine if name not in theirs]
    both = [name for name in mine if name in theirs]
    apart += [f"{name} {mine[name]}, expected {theirs[name]}" for name in both if mine[name] != theirs[name]]
    if apart:
        return Finding("inputs", "fail", "; ".join(apart[:SHOWN]), {"different": len(apart)})
    return Finding("inputs", "pass", f"{len(mine)} inputs are the same", {"compared": len(mine)})


def inputs_of(run: Run) -> dict[str, str]:
    """What run.json says of each input: its hash, or for a database its size."""
    found = {}
    for entry in run.meta.get("files", {}).get("inputs", []):
        says = f"has SHA-256 {entry['sha256'][:12]}..." if "sha256" in entry else f"has {entry.get('bytes')} bytes"
        found[Path(entry["path"]).name] = says
    return found


def check_weights(run: Run, frozen: list[str], other: Run | None = None) -> Finding:
    """Compare the newest snapshot with the weights that the run started from, and with another run's snapshot.

    Layers that should be frozen have to be the same to the bit; each layer has to have as many parameters as the
    other run's.
    """
    final = run.dir.newest_weights()
    if final is None:
        return Finding("weights", "undecided", "no snapshot")
    mine = read_layers(final)
    theirs = other.dir.newest_weights() if other is not None else None
    if theirs is not None:
        sizes, wanted = (
            {name: [len(blob) // 4 for blob in blobs] for name, blobs in layers.items()}
            for layers in (mine, read_layers(theirs))
        )
        apart = [name for name in dict.fromkeys([*wanted, *sizes]) if sizes.get(name) != wanted.get(name)]
        if apart:
            name = apart[0]
            text = f"{name} has {sizes.get(name, 'no')} parameters, expected {wanted.get(name, 'none')}"
            return Finding("weights", "fail", text, {"different": len(apart)})
    if not frozen:
        return Finding("weights", "undecided", "no layer is frozen")
    started = run.meta.get("files", {}).get("weights", [])
    if not started:
        return Finding("weights", "undecided", "no record of the weights that it started from")
    base: dict[str, list[bytes]] = {}
    for entry in started:
        path = find_file(run, entry)
        if path is None:
            return Finding("weights", "undecided", f"{entry['path']} is not there any more as the run found it")
        base |= read_layers(path)
    changed = [name for name in frozen if mine.get(name) != base.get(name)]
    if changed:
        text = f"{', '.join(changed)} should be frozen, and changed"
        return Finding("weights", "fail", text, {"different": len(changed)})
    return Finding("weights", "pass", f"{', '.join(frozen)} are the base's to the bit", {"compared": len(frozen)})


def find_file(run: Run, entry: dict[str, str]) -> Path | None:
    """The file that run.json notes, if it is unchanged; a relative path may begin at any folder around the run's."""
    for folder in (Path(), *run.path.resolve().parents):
        path = folder / entry["path"]
        if path.is_file() and describe_file(path)["sha256"] == entry["sha256"]:
            return path
    return None


def read_layers(weights: Path) -> dict[str, list[bytes]]:
    """The blobs of each layer of a .caffemodel, as float32 bytes."""
    from caffe_compat.proto import read_weights
    from caffe_compat.proto.raw_blobs import to_array

    return {
        layer.name: [to_array(blob).tobytes() for blob in layer.blobs]
        for layer in read_weights(str(weights)).layer
        if layer.blobs
    }
