"""Independent references for event-exact propagation: none shares a formula with the kernel.

`mp_switches` finds every switch by bisection in time, in 40 digits; `euler` steps the differential
inclusion itself (and so also slides); `box_reference` solves the sliding problem by SciPy.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
from scipy.optimize import lsq_linear

DIGITS = 40


def mp_switches(x, c, w0, v0, active, limit=200):
    """Switch times and data of one neuron that never slides: matrix exponential, bisection.

    In a cell (w, v) obeys a linear system: w = w0 + S a with S'' = alpha^2 S + <w0, a>, S(0) = 0,
    S'(0) = v0; each <w, x_i> is monotone in S, and S in t while v keeps its sign.
    """
    with mp.workdps(DIGITS):
        x = [[mp.mpf(float(e)) for e in row] for row in x]
        c = [mp.mpf(float(e)) for e in c]
        w, v = [mp.mpf(float(e)) for e in w0], mp.mpf(float(v0))
        active, time, events = list(active), mp.mpf(0), []
        size, dim = len(x), len(w)

        def dot(u, z):
            return mp.fsum(p * q for p, q in zip(u, z, strict=True))

        while any(active) and len(events) < limit:
            a = [mp.fsum(c[i] * x[i][k] for i in range(size) if active[i]) for k in range(dim)]
            alpha, push = mp.sqrt(dot(a, a)), dot(w, a)

            def s_of(t, alpha=alpha, push=push, v=v):
                cosh_minus_1 = 2 * mp.sinh(alpha * t / 2) ** 2
                return v * mp.sinh(alpha * t) / alpha + push * cosh_minus_1 / alpha**2

            first = None
            for i in range(size):
                q, r = dot(w, x[i]), dot(a, x[i])
                target = -q / r
                if target < 0 or (r > 0) == active[i] or (target == 0 and q != 0):
                    continue
                high = mp.mpf(1) / alpha
                while s_of(high) < target and high * alpha < 400:
                    high *= 2
                if s_of(high) < target:
                    continue
                low = mp.mpf(0)
                for _ in range(int(DIGITS * 3.6)):
                    middle = (low + high) / 2
                    low, high = (middle, high) if s_of(middle) < target else (low, middle)
                if first is None or high < first[0]:
                    first = (high, i)
            if first is None:
                break
            t, i = first
            s = s_of(t)
            v = v * mp.cosh(alpha * t) + push / alpha * mp.sinh(alpha * t)
            w = [p + s * q for p, q in zip(w, a, strict=True)]
            time += t
            active[i] = not active[i]
            events.append((float(time), i))
        return events


def euler(x, c, w0, v0, horizon, steps):
    """Direction and ln|w| at `horizon` by explicit Euler on (direction, ln|w|, v/|w|)."""
    w = np.array(w0, float)
    radius = np.linalg.norm(w)
    w, log_norm, kappa, dt = w / radius, np.log(radius), v0 / radius, horizon / steps
    for _ in range(steps):
        a = c[x @ w > 0] @ x[x @ w > 0]
        step = w + dt * kappa * a
        kappa += dt * (w @ a)
        radius = np.linalg.norm(step)
        w, log_norm, kappa = step / radius, log_norm + np.log(radius), kappa / radius
    return w, log_norm, kappa


def box_reference(vectors, base):
    """min over lam in [0, 1]^k of |base + sum lam_i vectors_i|^2, by SciPy."""
    return lsq_linear(vectors.T, -base, bounds=(0.0, 1.0), method="bvls", tol=1e-14).x
