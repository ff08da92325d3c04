r"""Labelled data of a binary problem, and the geometry that the alignment laws speak about.

Notation: $x_i \in \mathbb{R}^D$, $y_i = \pm 1$, signed data $z_i = y_i x_i$. Assumption 1
("orthogonally separable", Phuong & Lampert 2021; Min, Mallada & Vidal 2024, arXiv 2307.12851) is
$\mu = \min_{i \ne j} \cos(z_i, z_j) > 0$: inputs of one class meet at acute angles, inputs of
opposite classes at obtuse angles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from flowtheory.data.cosines import cosine_blocks, unit_rows
from flowtheory.errors import DataError, ParameterError
from flowtheory.precision import as_float64

_SMALLEST, _LARGEST = 1e-150, 1e150  # squares of entries stay inside the float64 range


@dataclass(frozen=True, eq=False)
class LabelledData:
    r"""Data $x_i$ with labels $y_i = \pm 1$; checked, copied and read-only.

    Attributes:
        x: inputs, shape (n, D), float64; no row is zero.
        y: labels, shape (n,), exactly -1.0 or +1.0.
        name: short name for tables and figures.
        provenance: how the data were made (seed, path, centring), one line, for reports.

    Raises:
        DataError: for values that are not finite, a zero row, a row whose entries are outside
            $[10^{-150}, 10^{150}]$ in size, labels other than -1 and +1, $n < 2$ or shapes that
            do not fit.
    """

    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]
    name: str
    provenance: str

    def __post_init__(self) -> None:
        x, y = as_float64(self.x, "x"), as_float64(self.y, "y")
        _check_shapes(x, y)
        _check_labels(y)
        _check_rows(x)
        object.__setattr__(self, "x", _frozen(x))
        object.__setattr__(self, "y", _frozen(y))

    @property
    def n(self) -> int:
        """Number of data."""
        return len(self.y)

    @property
    def dimension(self) -> int:
        """Dimension D of the inputs."""
        return self.x.shape[1]

    @property
    def n_plus(self) -> int:
        """Number of data with label +1."""
        return int(np.count_nonzero(self.y > 0))

    @property
    def n_minus(self) -> int:
        """Number of data with label -1."""
        return self.n - self.n_plus

    @cached_property
    def signed(self) -> Float[np.ndarray, "n D"]:
        r"""Signed data $z_i = y_i x_i$."""
        return _frozen(self.y[:, None] * self.x)

    @cached_property
    def norms(self) -> Float[np.ndarray, " n"]:
        r"""Norms $|x_i|$."""
        return _frozen(np.linalg.norm(self.x, axis=1))

    @property
    def x_min(self) -> float:
        r"""$X_{min} = \min_i |x_i|$."""
        return float(self.norms.min())

    @property
    def x_max(self) -> float:
        r"""$X_{max} = \max_i |x_i|$."""
        return float(self.norms.max())

    @cached_property
    def x_plus(self) -> Float[np.ndarray, " D"]:
        r"""$x_+ = \sum_{y_i = +1} x_i$ (zero if there is none)."""
        return _frozen(self.x[self.y > 0].sum(axis=0))

    @cached_property
    def x_minus(self) -> Float[np.ndarray, " D"]:
        r"""$x_- = \sum_{y_i = -1} x_i$ (zero if there is none)."""
        return _frozen(self.x[self.y < 0].sum(axis=0))

    @property
    def signed_sum_norm(self) -> float:
        r"""$\Lambda = |\sum_i z_i| = |x_+ - x_-|$."""
        return float(np.linalg.norm(self.x_plus - self.x_minus))

    @property
    def mu(self) -> float:
        r"""$\mu = \min_{i \ne j} \cos(z_i, z_j)$, from the Gram matrix.

        The absolute rounding error is about $10^{-16}$ times a small multiple of $\sqrt{D}$.
        """
        return self._pair_statistics[0]

    @property
    def violating_fraction(self) -> float:
        r"""Fraction of the $n(n-1)/2$ unordered pairs $i < j$ with $\cos(z_i, z_j) \le 0$.

        It is 0 exactly if Assumption 1 holds. A pair of one class violates when its inputs are
        at 90 degrees or more, a pair of opposite classes when they are at 90 degrees or less.
        """
        return self._pair_statistics[1] / (self.n * (self.n - 1) / 2)

    @property
    def satisfies_assumption_1(self) -> bool:
        r"""Whether $\mu > 0$."""
        return self.mu > 0

    @cached_property
    def _pair_statistics(self) -> tuple[float, int]:
        """Smallest cosine, and number of pairs whose cosine is not positive."""
        smallest, violating = np.inf, 0
        for _, block in cosine_blocks(unit_rows(self.signed)):
            smallest = min(smallest, float(block.min()))
            violating += int(np.count_nonzero(block <= 0))
        return smallest, violating

    def subset(
        self, indices: Int[np.ndarray, " m"] | Sequence[int], name: str | None = None
    ) -> LabelledData:
        """The data at `indices`, in that order.

        Raises:
            DataError: for an index outside 0..n-1, or fewer than two of them.
        """
        chosen = np.asarray(indices)
        integral = chosen.ndim == 1 and (chosen.size == 0 or chosen.dtype.kind in "iu")
        if not integral or (chosen.size and (chosen.min() < 0 or chosen.max() >= self.n)):
            raise DataError(
                f"the indices {_shortened(chosen)} do not select from {self.n} data",
                expected=f"a list of integers from 0 to {self.n - 1}",
                fix="numpy.flatnonzero(mask) turns a boolean mask into indices",
            )
        chosen = chosen.astype(np.intp)
        return LabelledData(
            self.x[chosen],
            self.y[chosen],
            self.name if name is None else name,
            f"{self.provenance}; {len(chosen)} of {self.n} data",
        )

    def scaled(self, factor: float) -> LabelledData:
        r"""The data with $x_i$ replaced by `factor` $x_i$; cosines stay, times scale by 1/factor.

        Raises:
            ParameterError: unless `factor` is finite and positive.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise ParameterError(
                f"the scale factor is {factor!r}",
                expected="a finite number > 0",
                fix="use flipped() to change the labels' signs",
            )
        provenance = f"{self.provenance}; inputs times {factor:g}"
        return LabelledData(self.x * factor, self.y, self.name, provenance)

    def flipped(self) -> LabelledData:
        r"""The data with labels $-y_i$: the mirror problem, in which $V_+$ and $V_-$ swap roles."""
        return LabelledData(self.x, -self.y, self.name, f"{self.provenance}; labels flipped")


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _shortened(values: np.ndarray) -> str:
    return np.array2string(values, threshold=6, edgeitems=3)


def _check_shapes(x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 2 or y.ndim != 1 or len(x) != len(y) or x.shape[1] == 0:
        raise DataError(
            f"x has shape {x.shape} and y has shape {y.shape}",
            expected="x of shape (n, D) with D >= 1 and y of shape (n,), one label a row",
            fix="reshape images to rows with x.reshape(len(x), -1), labels with y.ravel()",
        )
    if len(y) < 2:
        raise DataError(
            f"n = {len(y)}: too few data",
            expected="n >= 2 (mu is a minimum over pairs)",
            fix="add data",
        )


def _check_labels(y: np.ndarray) -> None:
    if not np.all(np.abs(y) == 1.0):
        raise DataError(
            f"the labels are {_shortened(np.unique(y))}",
            expected="labels exactly -1 and +1",
            fix="map two classes with numpy.where(labels == positive, 1.0, -1.0)",
        )


def _check_rows(x: np.ndarray) -> None:
    size = np.abs(x).max(axis=1)
    if np.any(size == 0):
        zero = np.flatnonzero(size == 0)
        raise DataError(
            f"the input x[{zero[0]}] is the zero vector ({zero.size} such row(s))",
            expected="inputs that are not zero: a zero input has no direction",
            fix="drop these rows; after centring, check that the data are not all equal",
        )
    bad = np.flatnonzero((size < _SMALLEST) | (size > _LARGEST))
    if bad.size:
        raise DataError(
            f"the input x[{bad[0]}] has largest entry {size[bad[0]]:.3g}",
            expected=f"largest entries from {_SMALLEST:g} to {_LARGEST:g} (finite squares)",
            fix="rescale the inputs; times scale inversely",
        )
