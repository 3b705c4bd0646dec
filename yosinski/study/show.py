"""A running study on stderr: a table that stays up to date on a terminal, a line for whatever happens elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from yosinski.study.status import DONE, NetStatus, summary, table

SHOWN = 12  # rows of nets that are done or wait, besides those in training
NEWS = ("training", "stopped", "failed", "trained", "disagrees")


@contextmanager
def shown() -> Iterator[Callable[[Sequence[NetStatus]], None]]:
    """Gives what to call with each new status."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(file=sys.stderr), auto_refresh=False) as live:
        yield lambda nets: live.update(table(of_interest(nets), summary(nets)), refresh=True)


class Lines:
    """Says once what has become of each net."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def __call__(self, nets: Sequence[NetStatus]) -> None:
        first = not self._states
        for net in nets:
            if self._states.get(net.name) != net.state and net.state in NEWS and not first:
                top1 = f", top-1 {net.top1:.4f}" if net.state == "trained" and net.top1 is not None else ""
                print(f"{net.name:<24} {net.state}{top1} ({summary(nets)})", file=sys.stderr, flush=True)
            self._states[net.name] = net.state


def of_interest(nets: Sequence[NetStatus]) -> list[NetStatus]:
    """Those in training or in trouble, the last ones done, and the first ones to come."""
    running = [net for net in nets if net.state not in (*DONE, "waits")]
    done = [net for net in nets if net.state in DONE][-SHOWN // 2 :]
    waiting = [net for net in nets if net.state == "waits"][: SHOWN // 2]
    return [*done, *running, *waiting]
