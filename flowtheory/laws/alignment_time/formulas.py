r"""The formulas of the alignment law: each once, as a SymPy expression, with its numeric form.

Every time is in the reference clock (sum loss, unit slope at zero output).
"""

from __future__ import annotations

from functools import cache

import sympy as sp
from scipy.optimize import minimize_scalar

from flowtheory.lower import numeric

mu = sp.Symbol("mu", positive=True)
n = sp.Symbol("n", positive=True)
dimension = sp.Symbol("D", positive=True)
x_min = sp.Symbol("X_min", positive=True)
x_max = sp.Symbol("X_max", positive=True)
zeta = sp.Symbol("zeta", positive=True)
xi = sp.Symbol("xi", positive=True)
theta_0 = sp.Symbol("theta_0", positive=True)
theta_f = sp.Symbol("theta_f", positive=True)
x_minus = sp.Symbol("r_-", positive=True)  # |x_-|
x_plus = sp.Symbol("r_+", positive=True)  # |x_+|
g_plus = sp.Symbol("g_plus", positive=True)
g_minus = sp.Symbol("g_minus", positive=True)
c = sp.Symbol("c", real=True)

B = 2 * sp.acosh(sp.sqrt(1 + mu) / (sp.sqrt(2) * mu))
# The maximum of sqrt(mu) B(mu) over (0, 1], 1.820041..., rounded up.
ABSOLUTE_CONSTANT = sp.Float("1.8201")

PUBLISHED = 16 * sp.log(n) / (sp.Min(zeta, xi) * sp.sqrt(mu) * x_min)
PUBLISHED_LITERAL = PUBLISHED.subs(xi, mu**2)
SHARP = B / x_min
SHARP_RISING = sp.acosh(1 / mu) / x_min
REPELLER_TERM = sp.log(sp.cot(theta_0 / 2)) / x_minus
SHARP_REPELLER = SHARP + REPELLER_TERM
ABSOLUTE = ABSOLUTE_CONSTANT / (sp.sqrt(mu) * x_min)

TWO_POINTS = sp.acosh(1 / mu)
FOUR_POINTS = 2 * sp.asinh(sp.sqrt(1 - mu) / (sp.sqrt(2) * mu))
CLASS_SUM = sp.sqrt(n * (1 + mu * (n - 1)))  # |x_+| of n unit data with all cosines mu
IN_CONE = sp.log(sp.tan(theta_0 / 2) / sp.tan(theta_f / 2)) / x_plus
# An isotropic start has <w, x_i> of order |x_i|/sqrt(D), the largest of n of them sqrt(2 ln n)
# times that, and the field closes it at rate mu n: a scaling, with a prefactor of order 1.
TYPICAL = sp.sqrt(2 * sp.log(n) / dimension) / (mu * n)
L_2 = sp.Symbol("L_2", positive=True)  # loss at t_2
elapsed = sp.Symbol("Delta_t", nonnegative=True)  # t - t_2
alpha = sp.Symbol("alpha", positive=True)
DECAY = L_2 / (L_2 * alpha * elapsed + 1)
RATE_ALPHA = (mu * x_min) ** 2 / (32 * x_max)
STABLE_RANK = 2 / (1 + sp.sqrt(1 - 4 * (1 - c**2) * g_plus * g_minus / (g_plus + g_minus) ** 2))

bound = numeric(B, [mu])
rising_bound = numeric(sp.acosh(1 / mu), [mu])
absolute_bound = numeric(ABSOLUTE_CONSTANT / sp.sqrt(mu), [mu])
published_literal = numeric(PUBLISHED_LITERAL.subs({x_min: 1, zeta: mu**2}), [n, mu])
repeller_term = numeric(REPELLER_TERM, [theta_0, x_minus])
two_points_time = numeric(TWO_POINTS, [mu])
four_points_time = numeric(FOUR_POINTS, [mu])
in_cone_time = numeric(IN_CONE, [theta_0, theta_f, x_plus])
class_sum = numeric(CLASS_SUM, [n, mu])
typical_time = numeric(TYPICAL, [n, mu, dimension])
rate_alpha = numeric(RATE_ALPHA, [mu, x_min, x_max])
decay_bound = numeric(DECAY, [L_2, alpha, elapsed])
stable_rank_limit = numeric(STABLE_RANK, [c, g_plus, g_minus])


@cache
def largest_scaled_bound() -> tuple[float, float]:
    r"""$(\mu, \sqrt\mu B(\mu))$ at the maximum over (0, 1]: what the absolute constant covers."""
    scaled = numeric(sp.sqrt(mu) * B, [mu])
    best = minimize_scalar(lambda m: -float(scaled(m)), bounds=(1e-3, 1.0), method="bounded")
    return float(best.x), -float(best.fun)
