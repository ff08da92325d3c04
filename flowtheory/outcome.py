"""How a run ended: named, documented values instead of a silent NaN.

Never compare with a single value: ask `Outcome.ok`.
"""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """How one run (a neuron's path, a gradient flow) ended.

    `reason` says what a member means and lists the common reasons for seeing it.
    """

    REACHED_T = "reached_t"
    EVENT = "event"
    FINAL_CELL = "final_cell"
    DEAD = "dead"
    STATIONARY = "stationary"
    OPPOSITE = "opposite"
    BLEW_UP = "blew_up"
    NOT_DETECTED = "not_detected"
    NONUNIQUE = "nonunique"
    EVENT_LIMIT = "event_limit"
    CHATTERING = "chattering"
    CONVERGED = "converged"
    STALLED = "stalled"
    STEP_LIMIT = "step_limit"
    TIME_LIMIT = "time_limit"
    STIFF = "stiff"
    NONFINITE = "nonfinite"
    FAILED = "failed"
    CRASHED = "crashed"

    @property
    def ok(self) -> bool:
        """Whether what was asked for was reached (the result may be used as it is)."""
        return self in _SUCCESS

    @property
    def reason(self) -> str:
        """What this outcome means, with its common reasons."""
        return _REASONS[self]

    def then(self, other: Outcome) -> Outcome:
        """Merge the outcome of one stage with that of the next.

        | first | second | merged |
        |-------|--------|--------|
        | ok    | any    | second |
        | failed| any    | first  |
        """
        return other if self.ok else self


_SUCCESS = frozenset(
    {
        Outcome.REACHED_T,
        Outcome.EVENT,
        Outcome.FINAL_CELL,
        Outcome.DEAD,
        Outcome.STATIONARY,
        Outcome.OPPOSITE,
        Outcome.BLEW_UP,
    }
)

_REASONS = {
    Outcome.REACHED_T: "the requested final time was reached",
    Outcome.EVENT: "the requested event happened and was located",
    Outcome.FINAL_CELL: (
        "no further pattern switch will ever happen: the closed form of the last activation cell "
        "holds for all later times"
    ),
    Outcome.DEAD: "no datum is active and none is slid along: the neuron does not move any more",
    Outcome.STATIONARY: (
        "the field is zero although data are active or slid along (their sum cancels); common for "
        "labels that are not separable and as many sliding data as dimensions"
    ),
    Outcome.OPPOSITE: (
        "the weight points exactly against its field and decays without ever turning; common "
        "reasons: a start exactly on the repelling direction (perturb it), or, on data that "
        "violate Assumption 1, a sliding attractor of negative correlation"
    ),
    Outcome.BLEW_UP: "the norm becomes infinite at a finite time, which is enclosed",
    Outcome.NOT_DETECTED: (
        "the norm did not grow as asked within the horizon; common reasons: H < 0 with neurons "
        "that die, a start on the stable manifold of the saddle, or a horizon too short"
    ),
    Outcome.NONUNIQUE: (
        "the continuation is not unique: the output weight changed sign while sliding, the weight "
        "reached the origin, it leaves a kink to the side that the rounding of a fitted residual "
        "says, or data tie exactly on a repelling surface; perturb the start"
    ),
    Outcome.EVENT_LIMIT: "more events than `max_events`; raise it",
    Outcome.CHATTERING: (
        "switches accumulate without progress; common reason: a sliding mode in a driver that "
        "only crosses (data that violate Assumption 1)"
    ),
    Outcome.CONVERGED: (
        "the flow came to rest at a minimum before the event that was waited for; common reason: a "
        "level below the least loss that this network reaches from this start"
    ),
    Outcome.STALLED: (
        "the flow rests at a saddle and does not leave it within the budget; common reasons: a "
        "start exactly on its stable manifold (equal neurons, a symmetry), or a field that "
        "underflows at this scale; perturb the start"
    ),
    Outcome.TIME_LIMIT: "the wall time allowed is spent; raise `time_limit`, or resume",
    Outcome.STEP_LIMIT: "the step budget is spent; common reasons: a horizon too long, or kinks",
    Outcome.STIFF: "the step size fell below the resolution of the time; the flow may blow up",
    Outcome.NONFINITE: "a state was not finite; common reasons: overflow, or a wrong vector field",
    Outcome.FAILED: "the code of this cell of a sweep raised an error, which its message quotes",
    Outcome.CRASHED: (
        "the process of this cell of a sweep was killed, alone and more than once; common reasons: "
        "out of memory, or a limit of the queue that it runs in"
    ),
}
