"""Options that several commands have, and what their values mean."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from caffe_compat.errors import CaffeError

PATH = click.Path(path_type=Path)


class Device(click.ParamType):
    """auto, cpu, cuda or cuda:N."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
            self.fail(f"{value!r} is not auto, cpu, cuda or cuda:N", param, ctx)
        return str(value)


class Split(click.ParamType):
    """A seed, or natman."""

    name = "0|1|2|3|natman"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"\d{1,9}|natman", value):
            self.fail(f"{value!r} is neither natman nor a seed such as 0", param, ctx)
        return str(value)


def model_argument(command: Callable[..., None]) -> Callable[..., None]:
    """A MODEL argument, which may also be given as ``--model``, as the caffe tool has it."""

    @click.argument("model", type=PATH, required=False)
    @click.option("--model", "model_option", type=PATH, hidden=True)
    @functools.wraps(command)
    def wrapper(model: Path | None, model_option: Path | None, **others: Any) -> None:
        chosen = model or model_option
        if chosen is None:
            raise click.UsageError("Missing argument 'MODEL'.")
        command(model=chosen, **others)

    return wrapper


weights_option = click.option("--weights", metavar="FILES", help="Weights files or run directories, comma-separated.")

device_option = click.option(
    "--device", type=Device(), default="auto", show_default=True, help="auto (a GPU if there is one), cpu or cuda:N."
)

compat_option = click.option(
    "--compat", metavar="VERSION[,SWITCH...]", help="1.0, or 2014 for Caffe as the originals had it."
)
split_option = click.option("--split", type=Split(), help="Halves: by a random seed (the study's: 0 to 3), or natman.")


precision_option = click.option(
    "--precision",
    type=click.Choice(["fp32", "tf32", "bf16"]),
    help="fp32, Caffe's, or what a GPU does faster and less exactly.",
)


def find_device(name: str, prefer_cpu: bool = False) -> Any:
    """The torch.device of --device; ``prefer_cpu``: what auto means where a definition asks for the CPU."""
    import torch

    from caffe_compat import parallel

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() and not prefer_cpu else "cpu"
    if ":" in name and parallel.world().size > 1:
        raise CaffeError(f"--device {name}: of several processes each takes the GPU of its own number; expected cuda")
    device = torch.device(f"cuda:{parallel.device_index()}" if name == "cuda" else name)
    if device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise CaffeError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s)")
    return device


def say_device(device: Any, cpu_line: int, gpu_line: int) -> None:
    """Caffe's first log line."""
    from caffe_compat import glog

    if device.type == "cpu":
        glog.info(f"caffe.cpp:{cpu_line}", "Use CPU.")
    else:
        glog.info(f"caffe.cpp:{gpu_line}", f"Use GPU with device ID {device.index}")
