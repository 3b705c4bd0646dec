"""How a command line program ends: every mistake of its user is one line on stderr, never a traceback."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

import click

from caffe_compat import interrupt
from caffe_compat.errors import CaffeError


def run(command: click.Command, name: str) -> NoReturn:
    """Run a program and exit: with 0, with 1 and a line that says why, or with 2 after wrong usage.

    What Ctrl-C, SIGTERM or a hangup interrupts cleans up and exits with 128 and the signal's number.
    """
    _open_streams()
    try:
        with interrupt.raised():
            sys.exit(command(prog_name=name, standalone_mode=False))  # None, or the code of a click.exceptions.Exit
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(interrupt.status())
    except (CaffeError, click.ClickException) as error:
        _fail(name, str(error))
    except OSError as error:
        if error.errno == errno.EPIPE:  # `caffe ... | head`
            sys.exit(1)
        _fail(name, _reason(error))
    except MemoryError as error:
        _fail(name, f"{str(error) or 'no memory is left'}; a smaller batch_size takes less")
    except RuntimeError as error:
        if (failure := _failure_of_torch(error)) is None:
            raise
        _fail(name, failure)


def _open_streams() -> None:
    """Nothing in place of streams that are closed, or else the next files that are opened would take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode))


def _failure_of_torch(error: RuntimeError) -> str | None:
    """What the machine could not do; None for other errors. Torch's types are known by name: it may not be there."""
    kind, message = type(error).__name__, str(error)
    if "DefaultCPUAllocator" in message:
        said = message[message.index("DefaultCPUAllocator") :].split(". ")[0]
        return f"{said}; a smaller batch_size takes less"
    if kind == "OutOfMemoryError":
        return f"{'. '.join(message.split('. ')[:2])}; a smaller batch_size takes less"
    if kind != "AcceleratorError":
        return None
    asserted = "; a label that is none of the classes does that, which a CPU would name"
    return message.splitlines()[0] + (asserted if "assert" in message.splitlines()[0] else "")


def _reason(error: OSError) -> str:
    """What went wrong, and with which file."""
    what = error.strerror or str(error) or type(error).__name__
    files = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{files}: {what}" if files else what


def _fail(name: str, message: str) -> NoReturn:
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
