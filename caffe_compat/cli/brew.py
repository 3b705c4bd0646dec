"""What the four commands of the ``caffe`` tool share: one set of flags, of which each takes what it needs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from caffe_compat import glog
from caffe_compat.cli.gflags import flag, program
from caffe_compat.errors import CaffeError

if TYPE_CHECKING:
    import torch

EFFECT = click.Choice(["snapshot", "stop", "none"])


@dataclass
class Flags:
    """The values of the flags; "" is none."""

    gpu: str
    solver: str
    model: str
    phase: str
    level: int
    stage: str
    snapshot: str
    weights: str
    iterations: int
    sigint_effect: str
    sighup_effect: str

    @property
    def stages(self) -> list[str]:
        """The net's stages; no flag makes one of them, "", as in Caffe."""
        return self.stage.split(",")

    @property
    def gpus(self) -> list[int]:
        """The device ids of ``--gpu``."""
        return device_ids(self.gpu)


def device_ids(text: str) -> list[int]:
    """Ids separated by commas, or all that there are for "all". CaffeError for one that this machine has not."""
    import torch

    count = torch.cuda.device_count()
    if text == "all":
        return list(range(count))
    try:
        ids = [int(word) for word in text.split(",")] if text else []
    except ValueError:
        raise click.UsageError(f"--gpu {text}: expected device ids separated by commas, or all") from None
    for number in ids:
        if not 0 <= number < count:
            raise CaffeError(f"GPU {number}: this machine has {count} CUDA device(s)")
    return ids


FLAGS = (
    flag("gpu", "", "Run on this GPU; without it, on the CPU (train: where the solver says)."),
    flag("solver", "", "The solver definition (prototxt)."),
    flag("model", "", "The net definition (prototxt)."),
    flag("phase", "", "The net's phase, for time only.  [default: TRAIN]", type=click.Choice(["", "TRAIN", "TEST"])),
    flag("level", 0, "The net's level."),
    flag("stage", "", "The net's stages, separated by commas."),
    flag("snapshot", "", "A .solverstate to go on from."),
    flag("weights", "", "Weights files, separated by commas; not together with --snapshot."),
    flag("iterations", 50, "How many batches to run.  [default: 50]", type=click.IntRange(min=1)),
    flag("sigint_effect", "stop", "What Ctrl-C does: snapshot, stop or none.  [default: stop]", type=EFFECT),
    flag("sighup_effect", "snapshot", "What a hangup does: snapshot, stop or none.  [default: snapshot]", type=EFFECT),
)


def brew(function: Callable[[Flags], None]) -> click.Command:
    """Make a command with all the flags out of a function of them."""

    @functools.wraps(function)
    def command(**values: Any) -> None:
        function(Flags(**values))

    return program(function.__name__, *FLAGS)(command)


def single_device(flags: Flags, gpu_line: int, name_line: int, cpu_line: int) -> torch.device:
    """The device of a command that takes the first GPU only; logged with those lines of caffe.cpp, 0 for none."""
    import torch

    ids = flags.gpus
    if not ids:
        glog.info(f"caffe.cpp:{cpu_line}", "Use CPU.")
        return torch.device("cpu")
    glog.info(f"caffe.cpp:{gpu_line}", f"Use GPU with device ID {ids[0]}")
    if name_line:
        glog.info(f"caffe.cpp:{name_line}", f"GPU device name: {torch.cuda.get_device_name(ids[0])}")
    return torch.device("cuda", ids[0])
