r"""Factorizations $\varphi$ of architectures with given widths, as families of fields.

The output is $f(\varphi(\theta), x)$ with $\varphi$ polynomial, and over all data sets and losses
the flows span the fields $\nabla\varphi_i$. Widths are listed from the input to the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

from sympy import Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.conserve.family import Family, potentials
from flowtheory.symbolic.conserve.polynomial import Polynomial, collect, times

Matrix = list[list[Polynomial]]


def linear(widths: Sequence[int], biases: bool = False) -> Family:
    r"""$\varphi = W_L \cdots W_1$ (and $W_L \cdots W_{l+1} b_l$ with biases)."""
    _check(widths)
    names = _Names()
    weights = [names.matrix(f"W{k}", m, n) for k, (n, m) in enumerate(pairwise(widths), 1)]
    shifts = [names.matrix(f"b{k}", m, 1) for k, m in enumerate(widths[1:], 1)] if biases else []
    chain: Matrix = weights[0]
    if biases:
        chain = [w + b for w, b in zip(chain, shifts[0], strict=True)]
    for k, weight in enumerate(weights[1:], 1):
        chain = _product(weight, chain)
        if biases:
            shift = [row[0] for row in shifts[k]]
            chain = [
                [*row[:-1], collect([*row[-1].items(), *b.items()])]
                for row, b in zip(chain, shift, strict=True)
            ]
    return potentials((entry for row in chain for entry in row), names.symbols)


def relu_paths(widths: Sequence[int], biases: bool = False) -> Family:
    r"""The products of weights along the paths of a ReLU network (path lifting).

    A path starts at an input or at a bias. The exponents of a path are a sum of terms that depend
    on two consecutive units each; therefore paths that leave the first units in two consecutive
    layers span all of them.
    """
    _check(widths)
    names = _Names()
    weights = [names.matrix(f"W{k}", m, n) for k, (n, m) in enumerate(pairwise(widths), 1)]
    shifts = [names.matrix(f"b{k}", m, 1) for k, m in enumerate(widths[1:], 1)] if biases else []
    paths: dict[tuple[int, ...], Polynomial] = {}
    starts = [0, *range(1, len(widths))] if biases else [0]
    for start in starts:
        for units in _spanning(widths[start:]):
            path: Polynomial = shifts[start - 1][units[0]][0] if start else {(): 1}
            for k, (i, j) in enumerate(pairwise(units), start):
                path = times(path, weights[k][j][i])
            paths[next(iter(path))] = path
    return potentials(paths.values(), names.symbols)


def attention(dimension: int, head: int, heads: int = 1) -> Family:
    r"""$\varphi = (Q_h^T K_h, V_h^T O_h)_h$, with factors of shape `head` x `dimension`."""
    _check((dimension, head, heads))
    names = _Names()
    phi: list[Polynomial] = []
    for h in range(1, heads + 1):
        queries, keys, values, outputs = (
            names.matrix(f"{name}{h}", head, dimension) for name in "QKVO"
        )
        for a, b in ((queries, keys), (values, outputs)):
            phi += [entry for row in _product(_transpose(a), b) for entry in row]
    return potentials(phi, names.symbols)


def linear_convolution(
    channels: int, first: int, second: int | None = None, ends: int = 1
) -> Family:
    r"""$\varphi_{ois} = \sum_j \sum_{a+b=s} u_{oja}\, v_{jib}$: two layers of full convolutions.

    With one input and one output channel and filters of equal length the convolution commutes:
    $u_j$ and $v_j$ may be exchanged, and besides the Gram differences $\langle v_j, v_k\rangle -
    \langle u_j, u_k\rangle$ the products $\langle u_j, v_k\rangle - \langle u_k, v_j\rangle$
    are laws, $m^2$ together for $m$ channels as long as the filters are not shorter than that.

    Args:
        channels: Hidden channels.
        first: The length of the filters $v$ of the first layer.
        second: That of $u$ in the second; default `first`.
        ends: Input channels, and output channels.
    """
    taps = first if second is None else second
    _check((channels, ends, first, taps))
    names = _Names()
    inner = [names.matrix(f"v{j}", ends, first) for j in range(1, channels + 1)]
    outer = [names.matrix(f"u{j}", ends, taps) for j in range(1, channels + 1)]
    phi = (
        collect(
            term
            for u, v in zip(outer, inner, strict=True)
            for a in range(max(0, s - first + 1), min(s + 1, taps))
            for term in times(u[o][a], v[i][s - a]).items()
        )
        for o, i, s in product(range(ends), range(ends), range(first + taps - 1))
    )
    return potentials(phi, names.symbols)


@dataclass
class _Names:
    """Numbers the variables in the order in which they are made."""

    symbols: list[Symbol] = field(default_factory=list)

    def matrix(self, name: str, rows: int, columns: int) -> Matrix:
        return [
            [self._variable(f"{name}_{i}_{j}") for j in range(1, columns + 1)]
            for i in range(1, rows + 1)
        ]

    def _variable(self, name: str) -> Polynomial:
        self.symbols.append(Symbol(name, real=True))
        return {(len(self.symbols) - 1,): 1}


def _spanning(widths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    base = (0,) * len(widths)
    if len(widths) == 1:
        yield from ((i,) for i in range(widths[0]))
    for at, (n, m) in enumerate(pairwise(widths)):
        for pair in product(range(n), range(m)):
            yield base[:at] + pair + base[at + 2 :]


def _product(a: Matrix, b: Matrix) -> Matrix:
    columns = list(zip(*b, strict=True))
    return [[_dot(row, column) for column in columns] for row in a]


def _dot(a: Sequence[Polynomial], b: Sequence[Polynomial]) -> Polynomial:
    return collect(term for x, y in zip(a, b, strict=True) for term in times(x, y).items())


def _transpose(a: Matrix) -> Matrix:
    return [list(column) for column in zip(*a, strict=True)]


def _check(widths: Sequence[int]) -> None:
    if len(widths) < 2 or not all(isinstance(n, int) and n > 0 for n in widths):
        raise ParameterError(
            f"the widths are {list(widths)}",
            expected="two or more positive whole numbers, from the input to the output",
            fix="for example [2, 3, 1]",
        )
