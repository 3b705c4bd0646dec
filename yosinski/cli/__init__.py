"""The `yosinski` command.

Exit codes: 0 done, 1 failed with one line that says why, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import sys

import click

from caffe_compat.errors import CaffeError

COMMANDS = {  # in the order of a first visit
    "train": "yosinski.cli.train:train",
    "test": "yosinski.cli.test:test",
    "time": "yosinski.cli.time:time",
    "data": "yosinski.cli.data:data",
    "nets": "yosinski.cli.nets:nets",
    "bench": "yosinski.cli.bench:bench",
    "export": "yosinski.cli.export:export",
    "verify": "yosinski.cli.verify:verify",
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
    """Train, test, export and verify Caffe nets, and re-run the 2014 feature transfer study."""


def main() -> None:
    """Run the command line and exit; a mistake of the user ends in one line on stderr, never in a traceback."""
    try:
        sys.exit(cli(prog_name="yosinski", standalone_mode=False))  # None, or the code of a click.exceptions.Exit
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except (CaffeError, click.ClickException) as error:
        fail(str(error))
    except OSError as error:
        if error.errno == errno.EPIPE:  # `yosinski ... | head`
            sys.exit(1)
        fail(reason(error))


def reason(error: OSError) -> str:
    """An operating system's error in one line: what went wrong, and with which file."""
    what = error.strerror or str(error) or type(error).__name__
    files = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{files}: {what}" if files else what


def fail(message: str) -> None:
    """Print the one line and exit with 1."""
    print(f"yosinski: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
