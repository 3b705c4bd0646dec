"""Options that several commands have, and what their values mean."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)
SEED = click.IntRange(min=0, max=2**32 - 1)


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


class Size(click.ParamType):
    """HEIGHTxWIDTH in pixels."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"0*([1-9]\d*)x0*([1-9]\d*)", value)
        if not found:
            self.fail(f"{value!r} is not HEIGHTxWIDTH, such as 256x256", param, ctx)
        return int(found[1]), int(found[2])


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


def state_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--level`` and ``--stage``, the rest of the NetState beside the phase, as the caffe tool has them."""
    stage = click.option("--stage", multiple=True, help="A stage of the net; may be repeated.")
    return click.option("--level", type=int, default=0, show_default=True, help="The net's level.")(stage(command))


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
