r"""What happens at a kink: cross it, slide along it, or leave it. The host's side, in NumPy.

At an event of neuron $j$ all data on its kinks are decided together. With
$G_i = \mathrm{sign}(v_j)\,\Delta\sigma'\,g_i$ a kink with $G_i \ge 0$ is never attracting and is
crossed; those with $G_i < 0$ take the shares that make the field shortest
(`flowtheory.box`): 0 and 1 are the two sides, a share between slides. Crossing a kink with
$G_i \ge 0$ while sliding along others is always consistent, because the shortest field is a
monotone function of what is added to it. Data that share their kink (duplicates, $x$ and $-x$) are
one kink, whose $G$ is the sum of theirs, each times $|x_i|$.

A weight that slides along all but one direction of the data space is on a line, which meets a
further kink at the origin only. All kinks meet there, and nothing says which sides to take.

The sliding set of a neuron with $v_j = 0$ turns from attracting into repelling: all velocities
across kinks are proportional to $v_j$. From there on every continuation that leaves some of the
data, to either side and at any time, solves the differential inclusion. The run ends as
`NONUNIQUE`; it can be continued from its end with a pattern of the user's choice. So does one in
which a kink ceases to attract while the residual of fitted data, rounding, says to which side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from flowtheory.flow.sliding import Cell

_BUCKETS = (0, 8, 32, 128, 512)  # of padded rows, never more than D: few compilations
_ON_KINK = 1e-13
_INSIDE = 1e-12
_NOISE = 8 * np.finfo(float).eps


class SwitchKind(IntEnum):
    """What a switch did to its datum."""

    DEACTIVATED = 0
    ACTIVATED = 1
    SLIDE_BEGINS = 2
    SLIDE_ENDS_INACTIVE = 3
    SLIDE_ENDS_ACTIVE = 4


class Crossing(IntEnum):
    """Which level of a kink was reached: the kink itself, or a share 0 or 1."""

    KINK = 0
    LOW = 1
    HIGH = 2


class Target(NamedTuple):
    """A level of `sliding.kink_levels`; `crossing` is None for the sign of the output weight."""

    neuron: int
    datum: int
    crossing: Crossing | None


class View(NamedTuple):
    """One neuron at an event: input weight, sign of v, unit field without shares, and $g$.

    `noise` is what rounding may do to the term of each datum in the field.
    """

    w: Float[np.ndarray, " D"]
    sign: float
    field: Float[np.ndarray, " D"]
    g: Float[np.ndarray, " n"]
    noise: Float[np.ndarray, " n"]


class _Plane(NamedTuple):
    """The kinks that a neuron slides along: their data, a basis and the pseudo-inverse."""

    data: np.ndarray
    basis: Float[np.ndarray, "k D"]
    dual: Float[np.ndarray, "k D"]


@dataclass
class Surfaces:
    r"""Book-kept sides of all data for all neurons.

    Attributes:
        x: data, shape (n, D).
        jump: $\Delta\sigma'$.
        left: $\sigma'(0^-)$.
        pattern: active data, shape (h, n); while sliding, the side that stands for a share of 0.
        sliding: data that are slid along, shape (h, n).
        ease: by how much more than rounding the field of a neuron may be off, shape (h,).
    """

    x: Float[np.ndarray, "n D"]
    jump: float
    left: float
    pattern: Bool[np.ndarray, "h n"]
    sliding: Bool[np.ndarray, "h n"]
    ease: Float[np.ndarray, " h"] = field(init=False, repr=False)
    _planes: dict[int, _Plane] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._norms = np.linalg.norm(self.x, axis=1)
        self.ease = np.ones(len(self.pattern))
        self._group, self._along = _parallel(self.x / self._norms[:, None])

    @property
    def rows(self) -> int:
        """K, the padded number of surfaces a neuron slides along."""
        need = max((len(plane.data) for plane in self._planes.values()), default=0)
        dim = self.x.shape[1]
        return min(next((k for k in _BUCKETS if k >= need), dim), dim)

    def cell(self, sign: Float[np.ndarray, " h"]) -> Cell:
        """The arrays of the compiled loop."""
        h, rows, dim = len(self.pattern), self.rows, self.x.shape[1]
        basis, dual = np.zeros((h, rows, dim)), np.zeros((h, rows, dim))
        datum, present = np.zeros((h, rows), dtype=np.int64), np.zeros((h, rows), dtype=bool)
        for j, plane in self._planes.items():
            k = len(plane.data)
            basis[j, :k], dual[j, :k] = plane.basis, plane.dual
            datum[j, :k], present[j, :k] = plane.data, True
        return Cell(
            self.pattern.astype(np.float64),  # type: ignore[arg-type]
            self.sliding,  # type: ignore[arg-type]
            basis,  # type: ignore[arg-type]
            dual,  # type: ignore[arg-type]
            datum,  # type: ignore[arg-type]
            present,  # type: ignore[arg-type]
            self._group,  # type: ignore[arg-type]
            self._norms,  # type: ignore[arg-type]
            sign,  # type: ignore[arg-type]
            np.float64(self.jump),  # type: ignore[arg-type]
            np.float64(self.left),  # type: ignore[arg-type]
            self.ease,  # type: ignore[arg-type]
        )

    def decode(self, target: int) -> Target | None:
        """The kink level of that index in `sliding.kink_levels`; None for a level beyond them."""
        (h, n), rows = self.pattern.shape, self.rows
        if target < h * n:
            return Target(*divmod(target, n), Crossing.KINK)
        target -= h * n
        for crossing in (Crossing.LOW, Crossing.HIGH):
            if target < h * rows:
                j, k = divmod(target, rows)
                return Target(j, int(self._planes[j].data[k]), crossing)
            target -= h * rows
        return Target(target, -1, None) if rows and target < h else None

    @property
    def levels(self) -> int:
        """Number of levels of `sliding.kink_levels`."""
        h, rows = len(self.pattern), self.rows
        return self.pattern.size + (h * (2 * rows + 1) if rows else 0)

    def shares(self, j: int, view: View) -> Float[np.ndarray, " n"]:
        r"""$\lambda$ of all data for neuron j: 0, 1, or the share of a sliding datum."""
        share = self.pattern[j].astype(np.float64)
        if j in self._planes:
            push, hold = self._forces(j, view)
            values = np.divide(push, hold, out=(push > 0).astype(float), where=hold != 0)
            for i, value in zip(self._planes[j].data, values, strict=True):
                self._spread(share, i, value)
        return share

    def _forces(self, j: int, view: View) -> tuple[Float[np.ndarray, " k"], ...]:
        """Push and hold of `sliding.forces`."""
        plane = self._planes[j]
        whole = self._whole(view.g)[plane.data]
        return view.sign * (plane.dual @ view.field), -view.sign * self.jump * whole

    def _noise(self, j: int, view: View, tied: Bool[np.ndarray, " n"]) -> float:
        """What rounding may do to the field of the data that are not tied."""
        return float(np.sum(view.noise[~tied])) * float(self.ease[j])

    def _undecided(self, j: int, view: View, i: int) -> bool:
        """Whether kink i ceases to hold a neuron that nothing but rounding pushes off it."""
        plane = self._planes[j]
        k = int(np.flatnonzero(plane.data == i)[0])
        push, hold = (force[k] for force in self._forces(j, view))
        noise = self._noise(j, view, self.sliding[j]) * np.linalg.norm(plane.dual[k])
        return abs(push) <= noise and hold <= noise

    def _whole(self, g: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Sum over the data of a kink, as a coefficient of each of them."""
        return np.bincount(self._group, g * self._norms, len(g))[self._group] / self._norms

    def _spread(self, share: Float[np.ndarray, " n"], i: int, value: float) -> None:
        """Give datum i and all data on its kink the sides that go with `value` for i."""
        members = self._group == self._group[i]
        same = self._along[members] == self._along[i]
        share[members] = np.where(same, value, 1 - value)

    def rank(self, j: int) -> int:
        """In how many directions its kinks hold the weight of neuron j."""
        return len(self._planes[j].data) if j in self._planes else 0

    def project(self, j: int, w: Float[np.ndarray, " D"]) -> Float[np.ndarray, " D"]:
        """w with what rounding has put off its surfaces removed."""
        if j not in self._planes:
            return w
        basis = self._planes[j].basis
        for _ in range(2):
            w = w - basis.T @ (basis @ w)
        return w

    def settle(self, j: int, view: View, i: int = -1, crossing: Crossing | None = None) -> bool:
        """Decide all data on the kinks of neuron j, after `crossing` of datum i (or a start).

        Returns whether the continuation is unique; pattern and sliding set are then updated.
        """
        share = np.clip(self.shares(j, view), _INSIDE, 1 - _INSIDE)
        share = np.where(self.sliding[j], share, self.pattern[j])
        gain = view.sign * self.jump * self._whole(view.g)
        i = int(self._group[i]) if i >= 0 else i  # the first datum of the kink stands for all
        first = self._group == np.arange(len(share))
        tied = self.sliding[j] & first
        if crossing is Crossing.KINK and gain[i] >= 0:
            self._spread(share, i, 1 - share[i])
        elif crossing is Crossing.KINK:
            tied[i] = True
        elif crossing is not None:
            if self._undecided(j, view, i):
                return False
            tied[i] = False
            self._spread(share, i, float(crossing is Crossing.HIGH))
        if not np.any(tied):
            return self._book(j, share)
        tied |= first & self._on_kink(view.w) & (gain < 0)
        leaving = i if crossing in (Crossing.LOW, Crossing.HIGH) else -1
        if leaving >= 0:
            tied[leaving] = False
        return self._solve(j, view, gain, share, tied, leaving)

    def _on_kink(self, w: np.ndarray) -> Bool[np.ndarray, " n"]:
        largest = np.max(np.abs(w), initial=0.0)
        if largest == 0:
            return np.zeros(len(self.x), dtype=bool)
        w = w / largest
        return np.abs(self.x @ w) <= _ON_KINK * self._norms * np.linalg.norm(w)

    def _solve(
        self,
        j: int,
        view: View,
        gain: np.ndarray,
        share: np.ndarray,
        tied: np.ndarray,
        leaving: int,
    ) -> bool:
        """The shortest field over the shares of the tied data."""
        from flowtheory.box.solve import box_least_squares

        frozen, each = self.pattern[j].astype(np.float64), view.sign * self.jump * view.g
        scale = np.abs(gain) @ self._norms + np.linalg.norm(view.field)
        # The step ended a little short of the event: by so much the share is still inside.
        short = abs(self.shares(j, view)[leaving] - share[leaving]) if leaving >= 0 else 0.0
        while True:
            z = np.flatnonzero(tied)
            a = view.sign * view.field + (each * (share - frozen)) @ self.x
            vectors = gain[z, None] * self.x[z]
            gradient, lam = vectors @ a, share[z]
            size = np.linalg.norm(vectors, axis=1)
            noise = self._noise(j, view, tied[self._group])
            tolerance = max(_NOISE * scale, noise) * size
            if not box_least_squares(vectors @ vectors.T, gradient, lam, tolerance):
                return False
            a += (lam - share[z]) @ vectors
            # What is pushed off its kink by rounding only stays on it, or it would come back.
            held = np.abs(vectors @ a) < noise * size
            lam[held] = np.clip(lam[held], _INSIDE, 1 - _INSIDE)
            for k, value in zip(z, lam, strict=True):
                self._spread(share, int(k), value)
            if leaving < 0:
                return self._book(j, share)
            outward = (1 - 2 * share[leaving]) * gain[leaving] * (self.x[leaving] @ a)
            push = abs(gain[leaving]) * self._norms[leaving]
            if outward >= -push * (2 * push * short + noise):
                return self._book(j, share)
            # Another datum took over at the same instant: the one that left comes back.
            tied[leaving], leaving = True, -1

    def _book(self, j: int, share: np.ndarray) -> bool:
        self.sliding[j] = (share > 0) & (share < 1)
        opposite = self._along != self._along[self._group]
        self.pattern[j] = np.where(self.sliding[j], opposite, share == 1)
        self._lay(j)
        return True

    def _lay(self, j: int) -> None:
        """The plane of the kinks that neuron j slides along."""
        data = np.flatnonzero(self.sliding[j] & (self._group == np.arange(len(self.x))))
        self._planes.pop(j, None)
        if data.size:
            q, r = np.linalg.qr(self.x[data].T)
            self._planes[j] = _Plane(data, q.T, np.linalg.solve(r, q.T))

    def at(
        self,
        pattern: Bool[np.ndarray, "h n"],
        sliding: Bool[np.ndarray, "h n"],
        ease: Float[np.ndarray, " h"],
    ) -> Surfaces:
        """The same surfaces with other sides, which were decided before."""
        other = Surfaces(self.x, self.jump, self.left, pattern, sliding)
        other.ease = ease
        for j in map(int, np.flatnonzero(sliding.any(axis=1))):
            other._lay(j)
        return other


def _parallel(units: Float[np.ndarray, "n D"]) -> tuple[np.ndarray, np.ndarray]:
    """The first datum on the line of every datum, and which way along it each one points."""
    largest = np.argmax(np.abs(units) > 0.5 * np.max(np.abs(units), axis=1)[:, None], axis=1)
    along = np.sign(units[np.arange(len(units)), largest])
    order = np.lexsort(np.round(along[:, None] * units, 12).T)
    lines = (along[:, None] * units)[order]
    new = np.any(np.abs(np.diff(lines, axis=0)) > _ON_KINK * 10, axis=1)
    label = np.concatenate([[0], np.cumsum(new)])
    first = np.full(label[-1] + 1, len(units))
    np.minimum.at(first, label, order)
    group = np.empty(len(units), dtype=np.int64)
    group[order] = first[label]
    return group, along


def switch_kinds(
    before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]
) -> list[tuple[int, SwitchKind]]:
    """The data whose (active, sliding) changed, and how."""
    changed = np.flatnonzero((before[0] != after[0]) | (before[1] != after[1]))
    kinds = []
    for i in map(int, changed):
        on = bool(after[0][i])
        if after[1][i]:
            kind = SwitchKind.SLIDE_BEGINS
        elif before[1][i]:
            kind = SwitchKind.SLIDE_ENDS_ACTIVE if on else SwitchKind.SLIDE_ENDS_INACTIVE
        else:
            kind = SwitchKind.ACTIVATED if on else SwitchKind.DEACTIVATED
        kinds.append((i, kind))
    return kinds
