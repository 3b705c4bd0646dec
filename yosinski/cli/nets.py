"""`yosinski nets`: the study's networks by name."""

from __future__ import annotations

from pathlib import Path

import click

from yosinski.cli.options import PATH, split_option

mini_option = click.option("--mini", is_flag=True, help="The small net for 28x28 images.")


@click.group()
def nets() -> None:
    """List, show and write the study's net definitions.

    A net goes by its name here, which --split completes, or by the original authors' name for it: base_A, half0A;
    transfer_A3B+, transfer-ft0A0B_1_3; random_3, nolearn_1_3; reduced_100, reduced-0100; whole, netbase.
    """


@nets.command("list")
@split_option
@click.option("--originals", is_flag=True, help="The 170 nets whose definitions the authors published.")
@click.option("--study", "study_file", type=PATH, metavar="FILE", help="The nets of a study of your own.")
def list_command(split: str | None, originals: bool, study_file: Path | None) -> None:
    """Name every kind of net; with a split, its original name goes first."""
    from yosinski import net_names
    from yosinski.networks import with_split

    if study_file is not None:
        from yosinski.study_file import read_study

        specs = list(read_study(study_file).specs)
    else:
        specs = net_names.originals() if originals else [with_split(spec, split) for spec in net_names.list_specs()]
    for spec in specs:
        of = f"split {spec.split}, " if spec.split else ""
        original = f"{spec.original_name}  " if spec.split or originals or study_file else ""
        click.echo(f"{original}{of}{spec.description()}")


@nets.command()
@click.argument("name")
@split_option
@mini_option
@click.option("--deploy", is_flag=True, help="The net for use: one image in, probabilities out.")
@click.option("--part", type=click.Choice(["train", "val", "solver"]), help="One phase only, or the solver.")
@click.option("--upgraded", is_flag=True, help="The part as the authors ran it, upgraded to Caffe 1.0's form.")
def show(name: str, split: str | None, mini: bool, deploy: bool, part: str | None, upgraded: bool) -> None:
    """Print the prototxt of the net NAME."""
    from typing import cast

    from caffe_compat.proto import text
    from yosinski.net_names import parse_name
    from yosinski.original_nets import Part, in_phase, original

    if upgraded and (part is None or mini or deploy):
        raise click.UsageError("--upgraded goes with --part, and not with --mini or --deploy.")
    if deploy and part:
        raise click.UsageError("--deploy and --part exclude each other.")
    spec = parse_name(name, split)
    if upgraded:
        found = text.format(original(spec, cast(Part, part)))
    elif part == "solver":
        found = spec.solver("mini" if mini else "full")
    elif part:
        found = text.format(in_phase(spec, "train" if part == "train" else "val", "mini" if mini else "full"))
    else:
        found = (spec.deploy if deploy else spec.definition)("mini" if mini else "full")
    click.echo(found, nl=False)


@nets.command()
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("names", metavar="[NAME...]", nargs=-1)
@split_option
@mini_option
@click.option("--study", "study_file", type=PATH, metavar="FILE", help="The nets of a study of your own.")
def write(folder: Path, names: tuple[str, ...], split: str | None, mini: bool, study_file: Path | None) -> None:
    """Write the nets and their solvers to DIR; without names those that come with this package.

    Nets of a named split bear their original names.
    """
    from yosinski import net_names
    from yosinski.networks import write_nets

    if study_file is not None:
        if names or split or mini:
            raise click.UsageError("--study says itself which nets; it goes with no names, --split or --mini.")
        from yosinski.study_file import read_study

        study = read_study(study_file)
        written = write_nets(folder, study.specs, study.scale)
    elif names or split or mini:
        specs = [net_names.parse_name(name, split) for name in names or net_names.list_names()]
        written = write_nets(folder, specs, "mini" if mini else "full")
    else:
        written = write_nets(folder, net_names.list_specs())
        written += write_nets(folder / "mini", map(net_names.parse_name, net_names.DEMO), "mini")
    for path in written:
        click.echo(path)
