"""The ratios to peers that were set as goals, those a prototype reached, and a table beside them.

P1: two-layer tanh network of 1000 neurons, first descent from a start of size 1e-6. P2: two-layer
ReLU network that slides. P3: blow-up of a three-layer effective flow. P4: 256 small flows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from _report import Table

GOALS: dict[tuple[str, str], tuple[float, float]] = {
    ("P1", "diffrax Dopri8"): (30, 75),
    ("P1", "torchdiffeq dopri5"): (249, 600),
    ("P1", "torch gradient descent 1e-3"): (2080, 5000),
    ("P1", "jax gradient descent 1e-3"): (2080, 5000),
    ("P1 at eps 1e-300", "scipy DOP853"): (1070, 2000),
    ("P1, whole process", "diffrax script, cold"): (9, 40),
    ("P2", "gradient descent 1e-5"): (49, 120),
    ("P2", "event-restarted diffrax, scaled"): (58, 140),
    ("P2", "scipy RK45 1e-8, stopped"): (2500, 6000),
    ("P2", "diffrax Tsit5 1e-8, stopped"): (2500, 6000),
    ("P3", "diffrax Tsit5"): (9, 40),
    ("P3", "torchdiffeq dopri5"): (62, 280),
    ("P4", "diffrax Tsit5, vmap"): (14, 100),
    ("P4", "diffrax Dopri8, vmap"): (8, 60),
    ("P4", "gradient descent 1e-3"): (176, 1200),
}
"""By (problem, peer): the ratio that a prototype reached, and the goal."""

COLUMNS = (
    "problem", "peer", "ours s", "peer s", "ratio", "error, ours", "error, peer", "prototype",
    "goal", "what limits ours",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A peer's time against ours on one problem, with the errors of both."""

    problem: str
    peer: str
    ours_s: float
    peer_s: float
    our_error: float | None
    peer_error: float | None
    limit: str

    @property
    def row(self) -> tuple:
        """In the order of `COLUMNS`."""
        prototype, goal = GOALS[self.problem, self.peer]
        times = (self.ours_s, self.peer_s, self.peer_s / self.ours_s)
        errors = (self.our_error, self.peer_error)
        return (self.problem, self.peer, *times, *errors, prototype, goal, self.limit)


def goal_table(lines: Sequence[Line]) -> Table:
    """The lines beside the prototype's ratios and the goals."""
    return Table("Against the goals", COLUMNS, [line.row for line in lines])
