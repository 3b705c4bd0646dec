"""The paper's figures, its table and its claims, computed from any mix of original nets and runs of ours.

``points`` gathers the nets, ``tables`` and ``claims`` compute, ``figures`` says what is drawn; ``plot`` draws it with
matplotlib, ``chart`` as SVG inside the one page that ``page`` puts together.
"""
