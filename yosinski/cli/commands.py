"""The commands of `yosinski`, each in a module of its own."""

from __future__ import annotations

import importlib

import click

COMMANDS = {  # in the order of a first visit
    "train": "yosinski.cli.train:train",
    "test": "yosinski.cli.test:test",
    "time": "yosinski.cli.time:time",
    "data": "yosinski.cli.data:data",
    "nets": "yosinski.cli.nets:nets",
    "study": "yosinski.cli.study:study",
    "bench": "yosinski.cli.bench:bench",
    "export": "yosinski.cli.export:export",
    "verify": "yosinski.cli.verify:verify",
    "audit": "yosinski.cli.audit:audit",
    "report": "yosinski.cli.report:report",
    "demo": "yosinski.cli.demo:demo",
    "upgrade": "yosinski.cli.upgrade:upgrade",
}


class LazyGroup(click.Group):
    """Imports the module of a command when the command is asked for, so that the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="yosinski")
def cli() -> None:
    """Train, test, export and verify Caffe nets, and re-run the 2014 feature transfer study.

    Exits with 0 when all is done, with 1 and a line that says why when something failed, with 2 after wrong usage, and
    with 130 when interrupted.
    """
