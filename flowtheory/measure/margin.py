"""The max-margin direction of one class of data, without bias."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError


def max_margin(x: Float[np.ndarray, "k D"]) -> tuple[Float[np.ndarray, " D"], float]:
    r"""The unit vector $u$ with the largest $g = \min_i \langle u, x_i\rangle$, and $g$.

    $u$ is the direction of the least $|w|$ with $\langle w, x_i\rangle \ge 1$, a least-distance
    problem that non-negative least squares solves exactly (Lawson and Hanson 1974, chapter 23).

    Raises:
        DataError: no direction has a positive margin on all rows.
    """
    from scipy.optimize import nnls

    rows, dim = x.shape
    design = np.vstack([x.T, np.ones(rows)])
    target = np.zeros(dim + 1)
    target[-1] = 1.0
    multipliers, residual = nnls(design, target)
    gap = design @ multipliers - target
    if residual < 1e-10:
        raise DataError(
            "the rows lie in no open half-space",
            expected="rows x_i for which some w has <w, x_i> > 0 for all i",
            fix="pass the signed data of one class",
        )
    w = -gap[:-1] / gap[-1]
    return w / np.linalg.norm(w), float(1.0 / np.linalg.norm(w))
