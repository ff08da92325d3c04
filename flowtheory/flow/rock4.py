r"""Coefficients of a stabilised explicit Runge-Kutta method of order 4, computed.

The construction is Abdulle's (ROCK4, SIAM J. Sci. Comput. 23, 2002, 2041-2054); the numbers are
computed here. On $y' = \lambda y$, $z = h\lambda$, a step with $s$ evaluations multiplies by

$$ R(z) = w(z)\,P(z), \quad \deg w = 4,\ \deg P = s - 4,\ R(z) = e^z + O(z^5),
   \quad |R(z)| \le 0.95 \text{ for } -\beta \le z \le -\delta $$

With $z = D\,(x - a)$, $a = 1 + g/s^2$ just above $[-1, 1]$, $P$ is the orthogonal polynomial of the
weight $w^2/\sqrt{1-x^2}$, so that $w P$ nearly equioscillates there. Order 4 fixes $w$ once $P$ is
known: $\log R$ has the power sums $\sum_i (a - x_i)^{-k} = (D, 0, 0, 0)$, $k = 1, \dots, 4$, over
all zeros of $R$, so those of $w$ follow from those of $P$ by Newton's identities. `polynomial`
iterates the two. Free are $g$, which damps at $x = 1$, and $\beta = (1 + a) D$, which `interval`
gives such that the inner extrema are 0.95 too.

$P$ is applied by its three-term recurrence ($s - 4$ evaluations), $w$ by four further stages
(`finishing`) that make the eight order conditions of the whole step hold, so that the order is 4
for nonlinear problems as well.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int
from scipy.linalg import eigh_tridiagonal, null_space
from scipy.optimize import newton

_DAMPING = 0.31
# (1 - x) s^2 of the zeros of w as s grows: where the iteration starts.
_ZEROS = np.array([13.9452 + 7.5113j, 1.4386 + 20.4298j])
_ITERATIONS, _CONVERGED = 100, 1e-10
_TARGETS = 1 / np.array([1.0, 2, 3, 6, 4, 8, 12, 24])
_ESTIMATE = 0.1

DEGREES = np.unique(np.round(np.append(np.arange(5, 17), 16 * 1.06 ** np.arange(44))).astype(int))
"""Numbers of evaluations a step for which coefficients are made: 5 to 196, in steps of 6 %."""


class Stages(NamedTuple):
    r"""One member of the family.

    Attributes:
        mu: $\mu_k$ of $Y_{k+1} = h\mu_k F(Y_k) + (1 + \kappa_k) Y_k - \kappa_k Y_{k-1}$.
        kappa: $\kappa_k$; $\kappa_0 = 0$.
        inner: $a_{ij}$ of the four last stages, strictly lower triangular.
        outer: their weights $b_i$.
        error: weights of the error estimate on the four last stages and on $F(y_1)$.
    """

    mu: Float[np.ndarray, " m"]
    kappa: Float[np.ndarray, " m"]
    inner: Float[np.ndarray, "4 4"]
    outer: Float[np.ndarray, " 4"]
    error: Float[np.ndarray, " 5"]


class Table(NamedTuple):
    """All members, as arrays to index with a traced number; rows are padded with zeros.

    Attributes:
        degree: evaluations a step, ascending.
        beta: real stability interval.
        mu: see `Stages`.
        kappa: see `Stages`.
        inner: see `Stages`.
        outer: see `Stages`.
        error: see `Stages`.
    """

    degree: Int[np.ndarray, " members"]
    beta: Float[np.ndarray, " members"]
    mu: Float[np.ndarray, "members m"]
    kappa: Float[np.ndarray, "members m"]
    inner: Float[np.ndarray, "members 4 4"]
    outer: Float[np.ndarray, "members 4"]
    error: Float[np.ndarray, "members 5"]


def interval(s: int) -> float:
    r"""Real stability interval $\beta$ for $s$ evaluations.

    A fit in $1/s^2$ to the largest $\beta$ with inner extrema of at most 0.95.
    """
    return 0.35086 * s**2 - 2.8355 + 2.3 / s**2


def polynomial(
    s: int,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Complex[np.ndarray, " s"]]:
    r"""The factor $P$: its monic recurrence $(A_k, B_k)$, and the zeros of $R = w P$ in $x$."""
    a = 1 + _DAMPING / s**2
    target = interval(s) / (1 + a)
    zeros = 1 - np.concatenate([_ZEROS, _ZEROS.conj()]) / s**2
    for _ in range(_ITERATIONS):
        A, B = _recurrence(s - 4, zeros)
        inner = eigh_tridiagonal(A, np.sqrt(B[1:]), eigvals_only=True)
        sums = np.array([np.sum((a - inner) ** -k) for k in (1, 2, 3, 4)])
        old, zeros = zeros, a - 1 / _from_power_sums(np.array([target, 0, 0, 0]) - sums)
        if np.max(np.abs(zeros - old)) * s**2 < _CONVERGED:
            return A, B, np.append(zeros, inner)
    raise AssertionError(f"no polynomial for s = {s}")


def _recurrence(
    m: int, zeros: Complex[np.ndarray, " 4"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    r"""Stieltjes' procedure for the weight $\prod |x - x_i|^2 / \sqrt{1 - x^2}$.

    Gauss-Chebyshev sums of m + 8 nodes are exact for every product that occurs.
    """
    n = m + 8
    x = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    weight = np.prod(np.abs(x[:, None] - zeros) ** 2, axis=1)
    A, B = np.zeros(m), np.zeros(m)
    before, now = np.zeros(n), np.sqrt(weight / weight.sum())
    for k in range(m):
        A[k] = np.sum(x * now**2)
        after = (x - A[k]) * now - np.sqrt(B[k]) * before
        norm = np.sqrt(np.sum(after**2))
        before, now = now, after / norm
        if k + 1 < m:
            B[k + 1] = norm**2
    return A, B


def _from_power_sums(sums: Float[np.ndarray, " k"]) -> Complex[np.ndarray, " k"]:
    """The numbers with the given power sums 1 to k (Newton's identities), sorted."""
    coefficients = [1.0]
    for k in range(1, len(sums) + 1):
        coefficients.append(-sum(coefficients[k - i] * sums[i - 1] for i in range(1, k + 1)) / k)
    return np.sort_complex(np.roots(coefficients))


def _slope(y: Float[np.ndarray, " 8"]) -> Float[np.ndarray, " 8"]:
    """Elementary weights of h F(Y) from those of Y.

    Order of the trees: t, [t], [t t], [[t]], [t t t], [t [t]], [[t t]], [[[t]]].
    """
    return np.array([1, y[0], y[0] ** 2, y[1], y[0] ** 3, y[0] * y[1], y[2], y[3]])


def stages(s: int) -> Stages:
    """The coefficients for `s` evaluations a step, s >= 5."""
    A, B, _ = polynomial(s)
    a = 1 + _DAMPING / s**2
    D = interval(s) / (1 + a)
    r = np.zeros(s - 4)
    for k in range(s - 4):
        r[k] = a - A[k] - (B[k] / r[k - 1] if k else 0)
    mu = 1 / (D * r)
    kappa = np.append(0, B[1:] / (r[:-1] * r[1:]))
    before, now = np.zeros(8), np.zeros(8)
    for m, k in zip(mu, kappa, strict=True):
        before, now = now, m * _slope(now) + (1 + k) * now - k * before
    return Stages(mu, kappa, *finishing(now))


def finishing(
    p: Float[np.ndarray, " 8"],
) -> tuple[Float[np.ndarray, "4 4"], Float[np.ndarray, " 4"], Float[np.ndarray, " 5"]]:
    r"""Four stages after a method of elementary weights `p` that make the whole of order 4.

    Their abscissae are placed as those of the 3/8 rule in what is left of the step; the last
    one is moved until the eighth order condition holds. Returns $a_{ij}$, $b_i$ and the
    weights of the error estimate, the difference to the solution of order 3 that uses $F(y_1)$.
    """

    def defect(last: float) -> float:
        inner, outer, weights = _lower(p, last)
        return float((p + outer @ [_slope(y) for y in weights] - _TARGETS)[7])

    inner, outer, weights = _lower(p, float(newton(defect, 1.0, x1=1.01, tol=1e-14)))
    slopes = np.array([_slope(y) for y in [*weights, _TARGETS]])
    error = null_space(slopes[:, :4].T)[:, 0]
    return inner, outer, error * (_ESTIMATE * _TARGETS[7] / (error @ slopes[:, 7]))


def _lower(
    p: Float[np.ndarray, " 8"], last: float
) -> tuple[Float[np.ndarray, "4 4"], Float[np.ndarray, " 4"], list[Float[np.ndarray, " 8"]]]:
    """The four stages that satisfy all conditions but the last, and their elementary weights."""
    c = p[0] + (1 - p[0]) * np.array([0, 1 / 3, 2 / 3, 0])
    c[3] = last
    missing = _TARGETS - p
    b = np.linalg.solve(np.vander(c, increasing=True).T, missing[[0, 1, 2, 4]])
    inner, weights = np.zeros((4, 4)), [p]
    inner[1, 0] = c[1] - c[0]
    weights.append(p + inner[1, 0] * _slope(p))
    d = np.array([y[1] for y in weights])
    known = missing[[3, 5]] - np.array([b[:2] @ d, (b[:2] * c[:2]) @ d])
    d3, d4 = np.linalg.solve([b[2:], b[2:] * c[2:]], known)
    inner[2, 1] = (d3 - p[1] - c[0] * (c[2] - c[0])) / (c[1] - c[0])
    inner[2, 0] = c[2] - c[0] - inner[2, 1]
    weights.append(p + inner[2, :2] @ [_slope(y) for y in weights])
    e4 = (missing[6] - b[:3] @ [y[2] for y in weights]) / b[3]
    powers = np.vander(c[:3], increasing=True).T
    inner[3, :3] = np.linalg.solve(powers, [c[3] - p[0], d4 - p[1], e4 - p[2]])
    weights.append(p + inner[3, :3] @ [_slope(y) for y in weights])
    return inner, b, weights


@cache
def table() -> Table:
    """The members of `DEGREES`; made once a process."""
    members = [stages(int(s)) for s in DEGREES]
    width = len(members[-1].mu)
    mu = np.array([np.pad(m.mu, (0, width - len(m.mu))) for m in members])
    kappa = np.array([np.pad(m.kappa, (0, width - len(m.kappa))) for m in members])
    beta = np.array([interval(int(s)) for s in DEGREES])
    rest = (np.array([getattr(m, name) for m in members]) for name in ("inner", "outer", "error"))
    return Table(DEGREES, beta, mu, kappa, *rest)
