"""`yosinski bench`: CaffeNet and the data layer against this machine's own limits."""

from __future__ import annotations

import json
import os

import click


@click.command()
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Medians are over so many.")
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Images in a CaffeNet pass.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(rounds: int, batch: int, as_json: bool) -> None:
    """Measure CaffeNet forward and backward, and the data layer, on the CPU.

    The bound is the time that CaffeNet's matrix products would take at the rate of one large float32 product, both
    measured in the same run. "plain torch" is the same net from torch's own modules.
    """
    import torch

    from yosinski.bench import caffenet, data_layer

    net = caffenet.measure(batch, rounds)
    data = data_layer.measure(rounds=2 * rounds)
    threads = torch.get_num_threads()
    if as_json:
        figures = {"cores": os.cpu_count(), "torch": torch.__version__, "torch_threads": threads}
        click.echo(json.dumps({**figures, "caffenet": net.figures(), "data_layer": data.figures()}, indent=2))
        return
    click.echo(f"torch {torch.__version__}, {threads} threads, {os.cpu_count()} cores; medians of {rounds} rounds\n")
    click.echo(f"CaffeNet forward + backward, {net.batch} images of 227x227: {net.gflop:.1f} GFLOP")
    click.echo(f"  bound, at {net.sgemm_gflops:.0f} GFLOP/s sgemm  {net.bound_s:7.3f} s  1.00x")
    for name, seconds in (("caffe_compat", net.caffe_compat_s), ("plain torch", net.torch_s)):
        speed = f"{net.batch / seconds:.1f} img/s"
        click.echo(f"  {name:<29}  {seconds:7.3f} s  {seconds / net.bound_s:.2f}x  {speed}")
    click.echo("\ndata layer, LMDB of raw 256x256 images, crop 227, mirror, mean image")
    click.echo(f"  caffe_compat                   {data.images_per_s:7.0f} img/s")
