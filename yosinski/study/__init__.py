"""The study as a graph of files, from images to a report, run by Snakemake.

``presets`` says which nets, ``plan`` in which order and at what cost; ``folder`` lays a study out on disk, with the
tasks that ``tasks`` derives and the ``Snakefile`` that hands them to Snakemake; ``jobs`` does what each task says. On
one machine ``run`` drives it, ``slots`` shares its GPUs out, ``follow`` ends what a killed driver has left running, and
``status`` looks on.
"""
