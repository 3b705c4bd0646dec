"""The audit: does a run equal the net that it answers to, and where not, why not.

Each check looks at one thing and ends in a ``Finding``: what the run says it trained (``recipe``), the learning rates
that it printed, the order of its training images (``stream``), its weights, and its numbers (``numbers``). What counts
as a difference was fixed beforehand in ``rules_v1.json``.
"""
