r"""Directions of condensation: critical points of $sH$ on the sphere.

To read in this order: `moment` ($T$ and $H$), `record` (lines, orientations, guarantees), then the
methods `quadratic` ($p \le 2$), `plane` ($D = 2$), `space` ($D = 3$), `search` (the rest), and
`find`, which chooses among them. `numbers` and `roots` keep rational input rational.
"""
