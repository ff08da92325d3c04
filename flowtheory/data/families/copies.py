r"""F3: the two- and four-point families with some data repeated, so that $n$ varies alone.

Copies of a datum switch together, so the time of the last switch is that of the original family:
no upper bound that grows with $n$ at fixed $\mu$ can be attained on them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from flowtheory.data.dataset import LabelledData
from flowtheory.data.families.case import Case
from flowtheory.data.families.checks import require_count
from flowtheory.data.families.four_points import four_points
from flowtheory.data.families.planar import two_points


def two_points_copied(*, mu: float = 0.1, copies: int = 8, norm: float = 1.0) -> Case:
    r"""F3 from F1: $x_2$ occurs `copies` times, $n = 1 +$ `copies`.

    The copies switch on together: $T = \mathrm{arccosh}(1/\mu)/X$ as for the two points.

    Raises:
        ParameterError: `mu` or `norm` outside its domain, or `copies` < 1.
    """
    require_count("copies", copies, 1, "how often x_2 occurs")
    return _repeated(two_points(mu=mu, norm=norm), np.array([1, copies]), "two-points-copied")


def four_points_copied(*, mu: float = 0.1, copies: int = 8) -> Case:
    r"""F3 from F2: $z_2$ and $-z_4$ occur `copies` times each, $n = 2 + 2\,$`copies`.

    The `copies` positive data switch on together, the `copies` negative ones stay off, and
    $T = 2\,\mathrm{arsinh}\,(\sqrt{(1-\mu)/2}/\mu)$ as for the four points.

    Raises:
        ParameterError: `mu` outside its domain, or `copies` < 1.
    """
    require_count("copies", copies, 1, "how often z_2 and -z_4 occur")
    return _repeated(four_points(mu=mu), np.array([1, copies, 1, copies]), "four-points-copied")


def _repeated(case: Case, times: Int[np.ndarray, " n"], family: str) -> Case:
    data = LabelledData(
        np.repeat(case.data.x, times, axis=0),
        np.repeat(case.data.y, times),
        f"{case.data.name}, copied",
        f"{case.data.provenance}, data repeated {times.tolist()} times",
    )
    return Case(data, case.w0, np.repeat(case.active, times, axis=1), family, case.start)
