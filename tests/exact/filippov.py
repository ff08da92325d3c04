"""Switches and slides of one balanced neuron in 50 digits: slow, from scratch at every event.

Nothing is carried from one cell to the next but w, v and the sides. Times are the quadrature of
dt = dS/v, sliding multipliers the solution of linear equations whose optimality is checked in all
digits; SciPy only guesses which of them are at a bound.
"""

from __future__ import annotations

from itertools import product

import mpmath as mp
import numpy as np
from exact.reference import box_reference

from flowtheory.exact import EventKind

DIGITS = 50
_ZERO = mp.mpf(10) ** -30


def _dot(u, z):
    return mp.fsum(p * q for p, q in zip(u, z, strict=True))


def _sum(weights, vectors, start):
    return [
        s + mp.fsum(g * z[k] for g, z in zip(weights, vectors, strict=True))
        for k, s in enumerate(start)
    ]


def _multipliers(vectors, base, bounds):
    """Multipliers with the given ones at 0 or 1 (None: free), or None if they are not optimal."""
    free = [m for m, bound in enumerate(bounds) if bound is None]
    lam = [mp.mpf(bound or 0) for bound in bounds]
    a = _sum(lam, vectors, base)
    if free:
        h = mp.matrix([[_dot(vectors[m], vectors[k]) for k in free] for m in free])
        try:
            steps = mp.lu_solve(h, mp.matrix([-_dot(vectors[m], a) for m in free]))
        except ZeroDivisionError:
            return None
        for m, step in zip(free, steps, strict=True):
            lam[m] = step
        a = _sum(lam, vectors, base)
    for value, bound, vector in zip(lam, bounds, vectors, strict=True):
        slope = _dot(vector, a)
        good = 0 < value < 1 if bound is None else slope * (1 - 2 * bound) >= -_ZERO
        if not good:
            return None
    return lam


def _resolve(vectors, base):
    """The shortest base + sum lam_i vectors_i over the box."""
    guess = box_reference(np.array(vectors, float), np.array(base, float))
    bounds = [None if 1e-9 < g < 1 - 1e-9 else round(g) for g in guess]
    for pattern in (bounds, *product((None, 0, 1), repeat=len(vectors))):
        lam = _multipliers(vectors, base, list(pattern))
        if lam is not None:
            return lam
    raise AssertionError("no optimum found")


class Slow:
    """A neuron with v = |w| > 0, and its events as (time, {datum: kind})."""

    def __init__(self, x, c, w0, active=None):
        self.x = [[mp.mpf(float(e)) for e in row] for row in x]
        self.c = [mp.mpf(float(e)) for e in c]
        self.w = [mp.mpf(float(e)) for e in w0]
        active = np.asarray(x) @ w0 > 0 if active is None else active
        self.lam = [mp.mpf(int(on)) for on in active]
        self.tied, self.time, self.events = [], mp.mpf(0), []

    def run(self):
        with mp.workdps(DIGITS):
            self.v = mp.sqrt(_dot(self.w, self.w))
            while self._event():
                pass
        return self

    def _event(self):
        shares = [share * g for share, g in zip(self.lam, self.c, strict=True)]
        a = _sum(shares, self.x, [mp.mpf(0)] * len(self.w))
        alpha2, push, size2 = _dot(a, a), _dot(self.w, a), _dot(self.w, self.w)
        across = size2 * alpha2 - push**2
        if alpha2 < _ZERO or (push < 0 and across < _ZERO * size2 * alpha2):
            return False
        s, first = mp.inf, None
        for i, z in enumerate(self.x):
            r = _dot(a, z)
            if i not in self.tied and (1 - 2 * self.lam[i]) * r > _ZERO:
                reached = max(-_dot(self.w, z) / r, mp.mpf(0))
                s, first = (reached, i) if reached < s else (s, first)
        if first is None:
            return False

        def gain(u):
            return mp.sqrt(self.v**2 + 2 * u * push + u * u * alpha2)

        # v is least at u = low, and its square root singular as close to it as `width`.
        low, width = -push / alpha2, mp.sqrt(across) / alpha2
        cuts = [low + side * width * mp.mpf(3) ** k for k in range(-1, 40) for side in (-1, 1)]
        cuts = sorted({mp.mpf(0), s, *(u for u in (low, *cuts) if 0 < u < s)})
        part, error = mp.quad(lambda u: 1 / gain(u), cuts, error=True)
        assert error < mp.mpf(10) ** -20
        self.time += part
        self.w, self.v = _sum([s], [a], self.w), gain(s)
        self._switch(first)
        return True

    def _switch(self, i):
        was, changes = self.lam[i], {}
        together = list(self.tied)
        if self.c[i] < 0:
            together.append(i)
        else:
            self.lam[i] = 1 - was
        fixed = [k for k in range(len(self.x)) if k not in together]
        base = _sum(
            [self.lam[k] * self.c[k] for k in fixed],
            [self.x[k] for k in fixed],
            [mp.mpf(0)] * len(self.w),
        )
        vectors = [[self.c[k] * e for e in self.x[k]] for k in together]
        lam = _resolve(vectors, base) if together else []
        for k, share in zip(together, lam, strict=True):
            slides, slid = 0 < share < 1, k in self.tied
            self.lam[k] = share
            if slid and not slides:
                self.tied.remove(k)
                on = share == 1
                changes[k] = EventKind.SLIDE_ENDS_ACTIVE if on else EventKind.SLIDE_ENDS_INACTIVE
            elif slides and not slid:
                self.tied.append(k)
                changes[k] = EventKind.SLIDE_BEGINS
        if i not in self.tied:
            changes[i] = EventKind.ACTIVATED if self.lam[i] == 1 else EventKind.DEACTIVATED
        self.events.append((float(self.time), changes))
