r"""Data sets in the plane and in space whose moment has as many maxima of $|H|$ as it can have."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_GOLDEN = (1 + np.sqrt(5)) / 2


class Labelled(NamedTuple):
    """Inputs with their labels, and the multiplicity that they are meant for."""

    name: str
    order: int
    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]


def fan(order: int) -> Labelled:
    r"""$p$ inputs at the angles $\pi k/p$ with alternating labels: $H \propto \cos p\theta$.

    All harmonics of $\cos^p$ but the highest cancel.
    """
    k = np.arange(order)
    angles = np.pi * k / order
    x = np.column_stack([np.cos(angles), np.sin(angles)])
    return Labelled("fan", order, x, (-1.0) ** k)


def tetrahedron() -> Labelled:
    r"""Four corners, all labels 1: $H \propto u_1u_2u_3$ for $p = 3$."""
    return Labelled("tetrahedron", 3, _diagonals(), np.ones(4))


def cube() -> Labelled:
    r"""The axes of a cube with the label 1 and its diagonals with $-1$, for $p = 4$.

    $H \propto \sum_j u_j^4 - c\,|u|^4$ with $1/3 < c < 1$: positive maxima on the three axes,
    negative minima on the four diagonals, saddles between.
    """
    return Labelled("cube", 4, np.concatenate([np.eye(3), _diagonals()]), _signs(3, 4))


def icosahedron() -> Labelled:
    """Its six axes through corners with the label 1, ten through faces with -0.6, for p = 6.

    The 15 axes through edges are saddles.
    """
    corners, faces = [], []
    for g in (_GOLDEN, -_GOLDEN):
        corners += [[0, 1, g], [1, g, 0], [g, 0, 1]]
        faces += [[0, g, 1 / _GOLDEN], [1 / _GOLDEN, 0, g], [g, 1 / _GOLDEN, 0]]
    x = np.concatenate([_unit(corners), _unit(faces), _diagonals()])
    return Labelled("icosahedron", 6, x, _signs(6, 10, 0.6))


def tangents(order: int) -> Labelled:
    r"""$H \propto \prod_{k=1}^p n_k\cdot u$, zero on $p$ tangents of a circle; $2^{p-1}$ inputs.

    By polarization $2^{p-1}p!\prod_k l_k = \sum_s (\prod_k s_k)(\sum_k s_k l_k)^p$ over signs with
    $s_1 = 1$. No three tangents of a circle meet, so that they cut the projective plane into
    $(p^2-p+2)/2$ parts; $H$ is 0 on their edges, and $|H|$ has a maximum in each. They are
    turned so that no axis of symmetry is an axis of the coordinates.
    """
    angles = 2 * np.pi * np.arange(order) / order
    normals = np.column_stack([np.cos(angles), np.sin(angles), np.full(order, np.sqrt(0.5))])
    signs = np.array([(1.0, *rest) for rest in product((1.0, -1.0), repeat=order - 1)])
    turn = np.linalg.qr(np.array([[3.0, 1.0, 2.0], [1.0, 4.0, -1.0], [-2.0, 1.0, 5.0]]))[0]
    return Labelled("tangents", order, signs @ normals @ turn, signs.prod(axis=1))


def orthonormal(order: int, labels: Float[np.ndarray, " D"]) -> Labelled:
    r"""The unit vectors $e_i$: $H = \frac1n\sum_i y_i u_i^p$."""
    return Labelled("orthonormal", order, np.eye(len(labels)), labels)


def _diagonals() -> Float[np.ndarray, "4 3"]:
    return _unit([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])


def _unit(rows: object) -> Float[np.ndarray, "n D"]:
    x = np.array(rows, dtype=np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _signs(positive: int, negative: int, size: float = 1.0) -> Float[np.ndarray, " n"]:
    return np.concatenate([np.ones(positive), np.full(negative, -size)])
