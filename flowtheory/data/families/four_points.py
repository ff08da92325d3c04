r"""F2: four points in three dimensions that attain the sharp alignment bound as $\mu \to 0$."""

from __future__ import annotations

import math

import numpy as np

from flowtheory.data.dataset import LabelledData
from flowtheory.data.families.case import Case
from flowtheory.data.families.checks import require_mu


def four_points(*, mu: float = 0.1) -> Case:
    r"""F2: data $(z_1, +)$, $(z_2, +)$, $(-z_1, -)$, $(-z_4, -)$; the start sees only $-z_1$.

    $z_1 = e_1$ and $z_k = \mu e_1 + \sqrt{1-\mu^2}\, d_k$ with unit vectors
    $d_2, d_4 = (0, \cos\frac{\gamma}{2}, \mp\sin\frac{\gamma}{2})$, $\cos\gamma = \mu/(1+\mu)$,
    hence $\langle z_1, z_k\rangle = \langle z_2, z_4\rangle = \mu$. The start is $w_0 = e_3 - P
    e_1$ with $P = \sqrt{(1-\mu)/2}/\mu$ (not normalised: at small $\mu$ the component along $e_3$
    would lose digits). It lies on the hyperplane of $-z_4$, on the inactive side. The last switch
    is at $2\,\mathrm{arsinh}\,P$. At half of it $-z_1$ switches off and $z_1$ on at the same
    time, by symmetry; $z_1$ comes first in the list so that a driver that breaks the tie by index
    never sees the neuron without an active datum.

    Args:
        mu: prescribed $\mu \in (0, 1]$.

    Raises:
        ParameterError: `mu` outside its domain.
    """
    require_mu(mu)
    # Half-angle formulas: no difference of nearly equal numbers at any mu.
    cos_half = math.sqrt((1 + 2 * mu) / (2 * (1 + mu)))
    sin_half = math.sqrt(1 / (2 * (1 + mu)))
    transverse = math.sqrt((1 - mu) * (1 + mu))
    z_1 = np.array([1.0, 0.0, 0.0])
    z_2 = np.array([mu, transverse * cos_half, -transverse * sin_half])
    z_4 = np.array([mu, transverse * cos_half, transverse * sin_half])
    data = LabelledData(
        np.stack([z_1, z_2, -z_1, -z_4]),
        np.array([1.0, 1.0, -1.0, -1.0]),
        "four points",
        f"four points, mu={mu:g}",
    )
    w0 = np.array([[-math.sqrt((1 - mu) / 2) / mu, 0.0, 1.0]])
    active = np.array([[False, False, True, False]])
    return Case(data, w0, active, "four-points", "w0 = e_3 - P e_1, only x = -z_1 active")
