r"""The sharp bound as a theorem for single neurons: their time and the bound, both in balls.

The bounds fall with the cosine and with the norm of a datum. So any pair of data and any datum may
stand for $\mu$ and $X_{min}$ in a proof: what is proved with them is at least as strong.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Bool, Float

from flowtheory.judge import Evidence
from flowtheory.laws.alignment_time import formulas as f
from flowtheory.laws.certificate import Certificate, Proof
from flowtheory.lower import Enclosure, enclose_alignment, enclose_sum, rational

PRODUCT, ONE, OTHER, LEAST = sp.symbols("P q_1 q_2 q_min", positive=True)
ALONG, START, REPELLER = sp.symbols("P_w q_w q_-", real=True)

_COSINE = PRODUCT / (sp.sqrt(ONE) * sp.sqrt(OTHER))
_BOUNDS = {
    "a": f.SHARP.subs({f.mu: _COSINE, f.x_min: sp.sqrt(LEAST)}),
    "b": f.SHARP_RISING.subs({f.mu: _COSINE, f.x_min: sp.sqrt(LEAST)}),
}
# ln cot(theta/2) = artanh(cos theta), which needs no angle.
_REPELLER = sp.atanh(ALONG / (sp.sqrt(START) * sp.sqrt(REPELLER))) / sp.sqrt(REPELLER)
_BOUNDS["c"] = _BOUNDS["a"] + _REPELLER


class Neuron(NamedTuple):
    """A neuron ($v = |w_0|$) with its data, and the part of the theorem that covers it."""

    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]
    w0: Float[np.ndarray, " D"]
    active: Bool[np.ndarray, " n"]
    part: str


def prove(row: Evidence) -> Proof | None:
    """$T X_{min}$ of the row's neuron in a ball, and whether it is below the bound."""
    neuron = row.instance
    if not isinstance(neuron, Neuron) or len(neuron.x) < 2:
        return None  # a single datum has no pair whose cosine stands for mu
    found = enclose_alignment(neuron.x, neuron.y, neuron.w0, active=neuron.active)
    norms = np.linalg.norm(neuron.x, axis=1)
    least = float(norms.min())
    time = found.time
    # The row's unit is the float X_min, one ulp or two beside the norm.
    scaled = Enclosure(
        time.midpoint * least, time.radius * least + 8 * math.ulp(time.midpoint * least), time.text
    )
    limit = enclose_sum(_BOUNDS[neuron.part], [_numbers(neuron, norms)])
    return Proof(scaled, time.midpoint + time.radius <= limit.midpoint - limit.radius)


def _numbers(neuron: Neuron, norms: Float[np.ndarray, " n"]) -> dict[sp.Symbol, Any]:
    """The rational numbers that the bounds are made of."""
    signed = neuron.y[:, None] * neuron.x
    cosines = (signed @ signed.T) / np.outer(norms, norms)
    np.fill_diagonal(cosines, np.inf)
    i, j = np.unravel_index(int(np.argmin(cosines)), cosines.shape)
    exact = [[rational(v) for v in row] for row in neuron.x]
    w = [rational(v) for v in neuron.w0]
    minus = [
        sum((row[d] for row, y in zip(exact, neuron.y, strict=True) if y < 0), rational(0.0))
        for d in range(len(w))
    ]
    low = int(np.argmin(norms))
    return {
        PRODUCT: rational(float(neuron.y[i] * neuron.y[j])) * _dot(exact[i], exact[j]),
        ONE: _dot(exact[i], exact[i]),
        OTHER: _dot(exact[j], exact[j]),
        LEAST: _dot(exact[low], exact[low]),
        ALONG: _dot(w, minus),
        START: _dot(w, w),
        REPELLER: _dot(minus, minus),
    }


def _dot(one: list[Any], other: list[Any]) -> Any:
    return sum((p * q for p, q in zip(one, other, strict=True)), rational(0.0))


CERTIFICATE = Certificate("T X_min is below the sharp bound of its part", prove)
