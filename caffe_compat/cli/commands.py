"""The ``caffe`` program's commands: Caffe's own, and its tools."""

from __future__ import annotations

import click

from caffe_compat.cli import tools
from caffe_compat.cli.device_query import device_query
from caffe_compat.cli.gflags import HELP
from caffe_compat.cli.test import test
from caffe_compat.cli.time import time
from caffe_compat.cli.train import train


class Brew(click.Group):
    """Takes the flags of a command in front of its name too, as gflags does."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        taken = 0
        while taken < len(args) and args[taken].startswith("-") and not args[taken].endswith("-help"):
            taken += 1 if "=" in args[taken] else 2
        return super().parse_args(ctx, [*args[taken : taken + 1], *args[:taken], *args[taken + 1 :]])


@click.group(cls=Brew, options_metavar="", subcommand_metavar="<command> <args>", context_settings=HELP)
def caffe() -> None:
    """Command line brew: Caffe's commands, and its tools as further commands.

    Flags are written as Caffe takes them: --name=value, --name value, -name=value or -name value.
    """


for command in (
    train,
    test,
    device_query,
    time,
    tools.extract_features,
    tools.upgrader("net", "text"),
    tools.upgrader("net", "binary"),
    tools.upgrader("solver", "text"),
    tools.convert_imageset,
    tools.compute_image_mean,
    tools.draw_net,
):
    caffe.add_command(command)
