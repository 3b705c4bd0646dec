"""Options as gflags and glog take them, on top of click."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from caffe_compat import glog
from caffe_compat.errors import CaffeError

TRUE, FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")
HELP: dict[str, Any] = {"help_option_names": ["--help", "-help"]}


def flag(name: str, default: str | int | bool, help: str, **others: Any) -> click.Option:
    """An option ``--name``, also written ``-name``; a boolean one has the opposite ``--noname``."""
    if isinstance(default, bool):
        return click.Option([f"--{name}/--no{name}", f"-{name}/-no{name}", name], default=default, help=help, **others)
    settings = {"type": type(default), "metavar": "VALUE", **others}
    return click.Option([f"--{name}", f"-{name}", name], default=default, help=help, **settings)


class Program(click.Command):
    """One of Caffe's programs: it writes glog lines to stderr, and has glog's own flags besides its own.

    A boolean flag may be given a value, as in ``--shuffle=true``. Arguments follow flags or stand between them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_settings = HELP
        for name, default, meaning in (
            ("logtostderr", True, "Lines go to stderr in any case."),
            ("alsologtostderr", True, "Lines go to stderr in any case."),
            ("minloglevel", 0, "Least severity that is logged: 0 INFO, 1 WARNING, 2 ERROR, 3 FATAL."),
            ("log_dir", "", "A folder for log files, named as glog names them."),
        ):
            self.params.append(flag(name, default, meaning, envvar=f"GLOG_{name}", hidden=True))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        switches = {option.name for option in self.params if isinstance(option, click.Option) and option.is_flag}
        return super().parse_args(ctx, [_without_value(argument, switches) for argument in args])

    def invoke(self, ctx: click.Context) -> Any:
        _, _, level, folder = (
            ctx.params.pop(name) for name in ("logtostderr", "alsologtostderr", "minloglevel", "log_dir")
        )
        with ExitStack() as stack:
            for target in [sys.stderr, _log_file(Path(folder))] if folder else [sys.stderr]:
                stack.callback(glog.detach, glog.attach(target, glog.level_of(level)))
            return super().invoke(ctx)


def argument(name: str, **others: Any) -> click.Argument:
    """An argument without a flag; ``required=False`` for one that may be missing."""
    return click.Argument([name], **others)


def program(name: str, *params: click.Parameter) -> Callable[[Callable[..., None]], Program]:
    """Make a program of a function, whose docstring is the help."""
    return lambda function: Program(name, callback=function, params=list(params), help=function.__doc__)


def check(met: object, where: str, condition: str) -> None:
    """Caffe's CHECK of a flag: unless it is met, log why and leave with the exit code of wrong usage."""
    if not met:
        glog.fatal(where, f"Check failed: {condition}")
        raise click.exceptions.Exit(2)


def _without_value(argument: str, switches: set[Any]) -> str:
    """``--name=true`` as ``--name``, ``--name=false`` as ``--noname``, where name is a boolean flag."""
    match = re.fullmatch(r"(--?)(\w+)=(\w+)", argument)
    if not match or match[2] not in switches or match[3].lower() not in TRUE + FALSE:
        return argument
    return match[1] + ("" if match[3].lower() in TRUE else "no") + match[2]


def _log_file(folder: Path) -> Path:
    """A new file with the name that glog gives it, and ``caffe.INFO``, a link to the newest."""
    if not folder.is_dir():
        raise CaffeError(f"--log_dir {folder}: no such folder")
    moment = time.strftime("%Y%m%d-%H%M%S")
    user = os.environ.get("USER", "invalid-user")
    path = folder / f"caffe.{socket.gethostname()}.{user}.log.INFO.{moment}.{os.getpid()}"
    link = folder / "caffe.INFO"
    link.unlink(missing_ok=True)
    link.symlink_to(path.name)
    return path
