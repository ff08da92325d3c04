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

Unlike in ROCK4, $F$ is not evaluated at the states $y_0 + x_k$ of the recurrence but at
$y_0 + b_k x_k$, and $G_k = F(y_0) + (F(y_0 + b_k x_k) - F(y_0))/b_k$ takes the place of
$F(y_0 + x_k)$. For linear problems that changes nothing. The $b_k$ are those of RKC2: with
$b_k = q_k''/q_k'^2$, $q_k$ the polynomial of $x_k$, every point of evaluation is accurate to order
2 (all but the first). Without it the order is lost in stiff directions that follow slow ones: for
$y' = \lambda (y - t^2) + 2t$ a step errs by $1.4\,z^2 h^2$, $z = h\lambda$, and its estimate by
200 times more; with $b_k$, at $z = -1000$, by $4 \cdot 10^{-4} z^2 h^2$, and its estimate by less.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int

_DAMPING = 0.31
# (1 - x) s^2 of the zeros of w as s grows: where the iteration starts.
_ZEROS = np.array([13.9452 + 7.5113j, 1.4386 + 20.4298j])
_ITERATIONS, _CONVERGED = 100, 1e-10
_TARGETS = 1 / np.array([1.0, 2, 3, 6, 4, 8, 12, 24])
_START = np.array([1.0, 0, 0, 0, 0, 0, 0, 0])  # elementary weights of h F(y_0)
_ESTIMATE = 0.1
_AT_THE_END = 0.02  # weight of F(y_1): more, and the second estimate would not be the smaller one
# The coefficients of `finishing` as s grows, to start from: a_ij by rows, b_i, scales.
_WEIGHTS = [0.0751, -0.7256, 1.0954, 0.4795, -0.3981, 0.4799, 0.0350, 0.1726, 0.2207, 0.2450]
_LAST = np.append(_WEIGHTS, [0.8985, 0.8980, 1.0350, 0.9609])
_PULL = 3e-3

Weights = Float[np.ndarray, " 8"]

DEGREES = np.unique(np.round(np.append(np.arange(6, 17), 16 * 1.06 ** np.arange(35))).astype(int))
"""Numbers of evaluations a step for which coefficients are made: 6 to 116, in steps of 6 %.

From 123 on the rounding of the finishing stages, of relative size $10^{-17} z^4$, takes $|R|$ above
its bound at the end of the interval, and above 1 from 130 on.
"""


class Stages(NamedTuple):
    r"""One member of the family.

    Attributes:
        mu: $\mu_k$ of $x_{k+1} = h\mu_k G_k + (1 + \kappa_k) x_k - \kappa_k x_{k-1}$.
        kappa: $\kappa_k$; $\kappa_0 = 0$.
        scale: $b_k$ of the evaluation in stage k.
        inner: $a_{ij}$ of the four last stages, strictly lower triangular.
        outer: their weights $b_i$.
        last: the scales of their evaluations.
        error: weights of the two error estimates on their slopes, on $F(y_0)$ and $F(y_1)$.
    """

    mu: Float[np.ndarray, " m"]
    kappa: Float[np.ndarray, " m"]
    scale: Float[np.ndarray, " m"]
    inner: Float[np.ndarray, "4 4"]
    outer: Float[np.ndarray, " 4"]
    last: Float[np.ndarray, " 4"]
    error: Float[np.ndarray, "2 6"]


class Table(NamedTuple):
    """All members, as arrays to index with a traced number; rows are padded with zeros.

    Attributes:
        degree: evaluations a step, ascending.
        beta: real stability interval.
        mu: see `Stages`.
        kappa: see `Stages`.
        scale: see `Stages`.
        inner: see `Stages`.
        outer: see `Stages`.
        last: see `Stages`.
        error: see `Stages`.
    """

    degree: Int[np.ndarray, " members"]
    beta: Float[np.ndarray, " members"]
    mu: Float[np.ndarray, "members m"]
    kappa: Float[np.ndarray, "members m"]
    scale: Float[np.ndarray, "members m"]
    inner: Float[np.ndarray, "members 4 4"]
    outer: Float[np.ndarray, "members 4"]
    last: Float[np.ndarray, "members 4"]
    error: Float[np.ndarray, "members 2 6"]


def interval(s: int) -> float:
    r"""Real stability interval $\beta$ for $s$ evaluations.

    A fit in $1/s^2$ to the largest $\beta$ with inner extrema of at most 0.95.
    """
    return 0.35086 * s**2 - 2.8355 + 2.3 / s**2


def polynomial(
    s: int,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Complex[np.ndarray, " s"]]:
    r"""The factor $P$: its monic recurrence $(A_k, B_k)$, and the zeros of $R = w P$ in $x$."""
    from scipy.linalg import eigh_tridiagonal

    a = 1 + _DAMPING / s**2
    target = interval(s) / (1 + a)
    zeros = 1 - np.concatenate([_ZEROS, _ZEROS.conj()]) / s**2
    for _ in range(_ITERATIONS):
        A, B = _recurrence(s - 4, zeros)
        inner = np.asarray(eigh_tridiagonal(A, np.sqrt(B[1:]), eigvals_only=True))
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


def _slope(y: Weights) -> Weights:
    """Elementary weights of h F(Y) from those of Y.

    Order of the trees: t, [t], [t t], [[t]], [t t t], [t [t]], [[t t]], [[[t]]].
    """
    return np.array([1, y[0], y[0] ** 2, y[1], y[0] ** 3, y[0] * y[1], y[2], y[3]])


def _shifted(x: Weights, b: float) -> Weights:
    """Elementary weights of $h G$, the slope at $y_0 + b x$ read as that at $y_0 + x$."""
    return _START + (_slope(b * x) - _START) / b


def stages(s: int, guess: Float[np.ndarray, " 14"] | None = None) -> Stages:
    """The coefficients for `s` evaluations a step, s >= 6; `guess` for the last four stages."""
    A, B, _ = polynomial(s)
    a = 1 + _DAMPING / s**2
    D = interval(s) / (1 + a)
    r = np.zeros(s - 4)
    for k in range(s - 4):
        r[k] = a - A[k] - (B[k] / r[k - 1] if k else 0)
    mu = 1 / (D * r)
    kappa = np.append(0, B[1:] / (r[:-1] * r[1:]))
    scale = _scales(mu, kappa)
    before, now = np.zeros(8), np.zeros(8)
    for m, k, b in zip(mu, kappa, scale, strict=True):
        before, now = now, m * _shifted(now, b) + (1 + k) * now - k * before
    return Stages(mu, kappa, scale, *finishing(now, _LAST if guess is None else guess))


def _scales(mu: Float[np.ndarray, " m"], kappa: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    r"""$b_k = q_k''/q_k'^2$ at $z = 0$, $q_k$ the polynomials of the recurrence, k = 0 to m - 1."""
    before, now = np.zeros(3), np.array([1.0, 0, 0])
    scale = np.ones(len(mu))
    for k in range(len(mu)):
        if k > 1:
            scale[k] = 2 * now[2] / now[1] ** 2
        raised = np.array([0, now[0], now[1]])
        before, now = now, mu[k] * raised + (1 + kappa[k]) * now - kappa[k] * before
    scale[:2] = scale[2] if len(mu) > 2 else 2 * now[2] / now[1] ** 2
    return scale


def finishing(p: Weights, guess: Float[np.ndarray, " 14"]) -> tuple[np.ndarray, ...]:
    r"""Four stages after a recurrence of elementary weights `p` that make the whole of order 4.

    Of the 14 coefficients ($a_{ij}$, $b_i$ and the scales of the stages), 8 serve the order
    conditions and the others bring the stages as near to order 2 as they can. Returns $a_{ij}$,
    $b_i$, scales and weights of the error estimates: differences to solutions of order 3. The first
    is made of the four slopes and $F(y_0)$, and blind to what begins in the last ninth of the step,
    where none of them lies. The second has $F(y_1)$ besides, and is 0 for $F = \lambda y$ to order
    4, so that elsewhere it is the smaller one.
    """
    from scipy.linalg import null_space
    from scipy.optimize import least_squares

    def aims(c: np.ndarray) -> np.ndarray:
        order, defects, _ = _last_stages(p, c)
        return np.concatenate([1e3 * order, defects, _PULL * (c - guess)])

    c = least_squares(aims, guess, method="lm", max_nfev=600, ftol=1e-6, xtol=1e-6).x
    for _ in range(6):  # Newton steps of least norm: the order conditions to roundoff
        shifts = [1e-6 * e for e in np.eye(14)]
        slopes = [(_last_stages(p, c + e)[0] - _last_stages(p, c - e)[0]) / 2e-6 for e in shifts]
        c = c - np.linalg.lstsq(np.transpose(slopes), _last_stages(p, c)[0], rcond=1e-12)[0]
    order, _, slopes = _last_stages(p, c)
    if np.max(np.abs(order)) > 1e-12:
        raise AssertionError("the order conditions were not solved")
    rows = np.array([*slopes, _START, _slope(_TARGETS)])
    first = np.append(null_space(rows[:5, :4].T)[:, 0], 0.0)
    first *= _ESTIMATE * _TARGETS[7] / (first @ rows[:, 7])
    second = null_space(rows[:, [0, 1, 2, 3, 7]].T)[:, 0]
    second *= _AT_THE_END / second[5]
    return _lower(c), c[6:10], c[10:], np.array([first, second])


def _lower(c: Float[np.ndarray, " 14"]) -> Float[np.ndarray, "4 4"]:
    inner = np.zeros((4, 4))
    inner[np.tril_indices(4, -1)] = c[:6]
    return inner


def _last_stages(
    p: Weights, c: Float[np.ndarray, " 14"]
) -> tuple[Weights, Float[np.ndarray, " 4"], list[Weights]]:
    """Residuals of the order conditions, defects of the stages from order 2, slopes."""
    inner, slopes, defects = _lower(c), [], []
    for i, b in enumerate(c[10:]):
        x = p + sum((inner[i, j] * slopes[j] for j in range(i)), np.zeros(8))
        defects.append(b * x[1] - (b * x[0]) ** 2 / 2)
        slopes.append(_shifted(x, b))
    return p + c[6:10] @ np.array(slopes) - _TARGETS, np.array(defects), slopes


@cache
def table() -> Table:
    """The members of `DEGREES`; made once a process."""
    members: list[Stages] = []
    guess = _LAST
    for s in DEGREES[::-1]:
        made = stages(int(s), guess)
        guess = np.concatenate([made.inner[np.tril_indices(4, -1)], made.outer, made.last])
        members.insert(0, made)
    width = len(members[-1].mu)
    beta = np.array([interval(int(s)) for s in DEGREES])
    columns = [
        np.array([np.pad(m[i], (0, width - len(m[i])), constant_values=1.0) for m in members])
        for i in range(3)
    ]
    rest = [np.array([m[i] for m in members]) for i in range(3, 7)]
    return Table(DEGREES, beta, *columns, *rest)
