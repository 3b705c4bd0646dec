"""`yosinski nets`: the study's networks by name."""

from __future__ import annotations

from pathlib import Path

import click

from yosinski.cli.options import PATH


@click.group()
def nets() -> None:
    """List, show and write the study's net definitions."""


@nets.command("list")
def list_command() -> None:
    """Name every net of the study; * marks those whose files come with this package."""
    from yosinski.networks import SHIPPED, list_names, parse_name

    for name in list_names():
        click.echo(f"{'*' if name in SHIPPED else ' '} {parse_name(name).description()}")


@nets.command()
@click.argument("name")
@click.option("--mini", is_flag=True, help="The small net for 28x28 images.")
@click.option("--deploy", is_flag=True, help="The net for use: one image in, probabilities out.")
def show(name: str, mini: bool, deploy: bool) -> None:
    """Print the prototxt of the net NAME."""
    from yosinski.networks import parse_name

    spec = parse_name(name)
    click.echo((spec.deploy if deploy else spec.definition)("mini" if mini else "full"), nl=False)


@nets.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("names", metavar="[NAME...]", nargs=-1)
def write(folder: Path, names: tuple[str, ...]) -> None:
    """Write the nets, by default those marked in `nets list`, and their solver to DIR, the small ones to DIR/mini."""
    from yosinski.networks import SHIPPED, write_all

    for path in write_all(folder, names or SHIPPED):
        click.echo(path)
