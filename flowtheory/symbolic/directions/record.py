r"""Critical points of $H$ on the sphere, as lines and as orientations.

A neuron with direction $u$ and output weight of sign $s$ follows, in a rescaled time,
$\dot u = s\,(\nabla H(u) - p\,H(u)\,u)$, and grows where $s H(u) > 0$. Since
$H(-u) = (-1)^p H(u)$, critical points come in *lines* $\{u, -u\}$; each of the two *orientations*
$\pm u$ is stable for a sign $s$ iff the curvatures of $sH$ there are negative. A line is *stable
and growing* iff $|H|$ has a strict local maximum there; then both of its orientations are: with
opposite signs $s$ for odd $p$, with the same sign for even $p$.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Float

# A curvature below this fraction of the largest |H| or curvature of the record counts as zero.
DEGENERATE = 1e-9


class Guarantee(Enum):
    """How it is known that no critical direction is missing."""

    EXACT = "exact"
    EIGEN = "eigen"
    COUNT = "count"
    CURVE = "curve"
    NONE = "none"

    @property
    def complete(self) -> bool:
        """Whether the list of isolated lines is complete."""
        return self not in (Guarantee.CURVE, Guarantee.NONE)

    @property
    def reason(self) -> str:
        """Why the list is, or need not be, complete."""
        return _REASONS[self]


_REASONS = {
    Guarantee.EXACT: (
        "roots of a polynomial, isolated in rational arithmetic for the numbers given (a float is "
        "a dyadic rational)"
    ),
    Guarantee.EIGEN: (
        "eigenvalues of a symmetric matrix in float64; equal ones to a relative tolerance"
    ),
    Guarantee.COUNT: (
        "as many non-degenerate real lines were found from random starts as a tensor of this order "
        "and dimension can have complex ones"
    ),
    Guarantee.CURVE: (
        "the polynomials have a common factor: a curve of critical points may exist, whose "
        "stability is not decided; only points off it are listed"
    ),
    Guarantee.NONE: "random starts, until they brought nothing new: lines may be missing",
}


class Stability(Enum):
    """What the linearized direction flow says of an orientation."""

    STABLE = "stable"
    UNSTABLE = "unstable"
    MARGINAL = "marginal"


@dataclass(frozen=True, eq=False)
class Orientation:
    r"""A fixed point of the direction flow of neurons with output weights of one sign.

    Attributes:
        direction: The unit vector $u$, shape (D,).
        sign: $s$, the sign of the output weight.
        value: $H(u)$.
        stability: Of $\dot u = s(\nabla H - pHu)$, by linearization.
    """

    direction: Float[np.ndarray, " D"]
    sign: int
    value: float
    stability: Stability

    @property
    def growing(self) -> bool:
        r"""Whether neurons there grow: $sH(u) > 0$."""
        return self.sign * self.value > 0


@dataclass(frozen=True, eq=False)
class CriticalLine:
    r"""A line $\{u, -u\}$ of critical points, or a great sphere of them.

    Attributes:
        basis: Orthonormal, shape (D, m); one column $u$ for a line, $m$ columns if every unit
            vector of their span is critical ($p = 2$: a multiple eigenvalue).
        value: $H(u)$; the Z-eigenvalue of $\nabla H(u) = \mu u$ is $\mu = pH(u)$.
        curvatures: Eigenvalues of $\nabla^2H - pH$ on the tangent vectors that are orthogonal to
            the basis, increasing, shape (D - m,).
        order: $p$.
        multiplicity: Of the root, as a solution of the polynomial system: 1 if non-degenerate.
        tolerance: Absolute value below which a curvature or $H$ counts as zero.
    """

    basis: Float[np.ndarray, "D m"]
    value: float
    curvatures: Float[np.ndarray, " k"]
    order: int
    multiplicity: int
    tolerance: float

    @property
    def direction(self) -> Float[np.ndarray, " D"]:
        """$u$."""
        return self.basis[:, 0]

    @property
    def isolated(self) -> bool:
        """Whether the line is not part of a sphere of critical points."""
        return self.basis.shape[1] == 1

    @property
    def degenerate(self) -> bool:
        """Whether a curvature is zero."""
        return self.multiplicity > 1 or bool((np.abs(self.curvatures) <= self.tolerance).any())

    @property
    def index(self) -> int:
        """The number of directions in which $H$ increases from $u$."""
        return int((self.curvatures > self.tolerance).sum())

    def stability(self, sign: int) -> Stability:
        r"""Of $u$ under $\dot u = s(\nabla H - pHu)$ with $s$ = `sign`."""
        curvatures = sign * self.curvatures
        if (curvatures > self.tolerance).any():
            return Stability.UNSTABLE
        return Stability.MARGINAL if self.degenerate else Stability.STABLE

    @property
    def growing(self) -> bool:
        r"""Whether $|H|$ has a strict maximum here (transversally, for a sphere)."""
        if abs(self.value) <= self.tolerance:
            return False
        return self.stability(1 if self.value > 0 else -1) is Stability.STABLE

    @property
    def orientations(self) -> tuple[Orientation, ...]:
        r"""The four fixed points $(\pm u, s = \pm 1)$."""
        parity = (-1) ** self.order
        return tuple(
            Orientation(
                side * self.direction,
                sign,
                self.value if side == 1 else parity * self.value,
                self.stability(sign if side == 1 else parity * sign),
            )
            for side in (1, -1)
            for sign in (1, -1)
        )


@dataclass(frozen=True, eq=False)
class Directions:
    """All critical lines that were found, by decreasing $|H|$; iterate over it.

    Attributes:
        order: $p$.
        dimension: $D$.
        lines: The critical lines.
        guarantee: How it is known that none is missing.
    """

    order: int
    dimension: int
    lines: tuple[CriticalLine, ...]
    guarantee: Guarantee

    def __iter__(self) -> Iterator[CriticalLine]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def complex_count(self) -> int:
        r"""Complex critical lines of a generic tensor, $((p-1)^D - 1)/(p-2)$; $D$ if $p = 2$.

        Source: Cartwright and Sturmfels, Linear Algebra Appl. 438 (2013), Theorem 1.2.
        """
        return sum((self.order - 1) ** k for k in range(self.dimension))

    @property
    def growing_lines(self) -> tuple[CriticalLine, ...]:
        """The lines that are stable and growing: where neurons condense."""
        return tuple(line for line in self.lines if line.growing)

    @property
    def growing_orientations(self) -> tuple[Orientation, ...]:
        """The orientations that are stable and growing, two for each isolated growing line."""
        return tuple(
            orientation
            for line in self.growing_lines
            if line.isolated
            for orientation in line.orientations
            if orientation.growing and orientation.stability is Stability.STABLE
        )

    @property
    def count(self) -> int | float:
        """The number of stable growing orientations; infinite if they fill a sphere."""
        spheres = any(not line.isolated for line in self.growing_lines)
        return math.inf if spheres else len(self.growing_orientations)

    @property
    def morse_defect(self) -> int | None:
        r"""$\sum_u (-1)^{\mathrm{index}(u)} - \chi(S^{D-1})$ over both orientations.

        Zero for a complete list of non-degenerate critical points (Morse); `None` where some are
        degenerate. Zero does not prove completeness.
        """
        if self.guarantee is Guarantee.CURVE or any(
            line.degenerate or not line.isolated for line in self.lines
        ):
            return None
        total = 0
        for line in self.lines:
            opposite = line.index if self.order % 2 == 0 else len(line.curvatures) - line.index
            total += (-1) ** line.index + (-1) ** opposite
        return total - (1 + (-1) ** (self.dimension - 1))

    def __repr__(self) -> str:
        return (
            f"Directions(p={self.order}, D={self.dimension}: {len(self.lines)} critical lines, "
            f"{len(self.growing_lines)} growing, {self.count} orientations; "
            f"guarantee: {self.guarantee.value})"
        )

    def __str__(self) -> str:
        head = (
            f"critical directions of sH, p = {self.order}, D = {self.dimension}\n"
            f"{len(self.growing_lines)} stable growing lines, {self.count} orientations "
            f"(2p = {2 * self.order})\n"
            f"complete: {'yes' if self.guarantee.complete else 'not known'}: "
            f"{self.guarantee.reason}"
        )
        rows = [_row(line) for line in self.lines]
        return "\n".join([head, _HEADER, *rows])

    def _repr_latex_(self) -> str:
        rows = " \\\\\n".join(_tex_row(line) for line in self.lines)
        head = r"H(u) & \text{index} & \text{growing} & u^T \\ \hline"
        return f"$$\\begin{{array}}{{rcll}}\n{head}\n{rows}\n\\end{{array}}$$"


_HEADER = f"{'H(u)':>12}  {'index':>5}  {'s = +1':>8}  {'s = -1':>8}  growing  u"


def _row(line: CriticalLine) -> str:
    plus, minus = line.stability(1).value, line.stability(-1).value
    growing = "yes" if line.growing else "no"
    text = f"{line.value:12.6g}  {line.index:5d}  {plus:>8}  {minus:>8}  {growing:>7}  "
    text += f"({_entries(line.direction)})"
    return text if line.isolated else f"{text} and {line.basis.shape[1] - 1} more dimensions"


def _tex_row(line: CriticalLine) -> str:
    growing = r"\text{yes}" if line.growing else r"\text{no}"
    return f"{line.value:.6g} & {line.index} & {growing} & ({_entries(line.direction)})"


def _entries(u: np.ndarray, most: int = 6) -> str:
    shown = ", ".join(f"{v:.4g}" for v in u[:most] + 0.0)
    return shown if len(u) <= most else f"{shown}, ..."
