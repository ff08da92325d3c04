r"""The user's own network: an output expression, checked before anything is derived from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sympy import Basic, Sum, Symbol

from flowtheory.errors import FileFormatError, ParameterError
from flowtheory.symbolic.activation import Activation, find_activation
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import axes_of, free_axes
from flowtheory.symbolic.loss import Axes, Loss, find_loss
from flowtheory.symbolic.network import SAMPLE, SAMPLES, Network
from flowtheory.userfile import run_file

_OURS = ("c", "h", "s", "y")
_MORE = "flowtheory.symbolic.index: tensor, index, size, sum_over"


def custom(
    output: Expr,
    parameters: Sequence[Indexed],
    *,
    name: str = "custom network",
    inputs: Indexed | Sequence[Indexed] | None = None,
    axes: Axes = ((SAMPLE, SAMPLES),),
    groups: Sequence[Sequence[str]] = (),
    constants: Sequence[Indexed] = (),
    symbols: Sequence[Symbol] = (),
) -> Network:
    r"""A network from its output, in index notation with symbolic sizes.

    Args:
        output: $f_i$, a SymPy expression of tensor entries; sums run from 1 to a size.
        parameters: The generic entry of every trained tensor, such as `W[j, p]`.
        name: What it is called.
        inputs: The generic entry of the data, such as `x[i, p]`, or several; None without data.
        axes: The free indices of `output` with their sizes, the sample first.
        groups: The layers, each the names of its tensors; every tensor by itself if empty.
        constants: The generic entries of given tensors that are not trained.
        symbols: The real numbers that stay symbols, such as the slope of a leaky ReLU.

    Raises:
        ParameterError: A tensor that is not declared or has another shape, a symbol that is not
            declared, a sum over a part of an axis, an index over two sizes, free indices that are
            not the axes, or groups that do not hold every tensor once. The message names it.

    Example:
        >>> from sympy import tanh
        >>> from flowtheory.symbolic import effective_flow
        >>> from flowtheory.symbolic.index import index, size, sum_over, tensor
        >>> i, j, p, n, h, D = index("i"), index("j"), index("p"), size("n"), size("h"), size("D")
        >>> W, x = tensor("W", h, D)[j, p], tensor("x", n, D)[i, p]
        >>> tied = sum_over(tanh(sum_over(W * x, (p, D))) ** 2, (j, h))
        >>> effective_flow(custom(tied, [W], inputs=x, axes=((i, n),))).degree
        2
    """
    given = (inputs,) if isinstance(inputs, Indexed) else tuple(inputs or ())
    declared = (*parameters, *given, *constants)
    for entry in declared:
        _require_entry(entry)
        _require_own_name(entry)
    _require_distinct(parameters)
    _Check(declared, tuple(symbols), axes).run(output)
    _require_present(output, parameters)
    _require_groups(groups, parameters)
    return Network(
        name=name,
        output=output,
        parameters=tuple(parameters),
        inputs=given[0] if given else None,
        axes=tuple(axes),
        groups=tuple(tuple(group) for group in groups),
        constants=tuple(constants),
        further_inputs=given[1:],
    )


@dataclass(frozen=True)
class UserDefinition:
    """What a user's file defines; activation and loss only if it does."""

    network: Network
    activation: Activation | None = None
    loss: Loss | None = None


def load_network(path: str | Path) -> UserDefinition:
    """Run the user's own Python file and take its `network`, and its `activation` and `loss`.

    The file is executed: load only files that you wrote or read.

    Args:
        path: A Python file that assigns a `Network` to `network`, for example by `custom`. It may
            assign an activation and a loss, by name, expression or object.

    Raises:
        FileFormatError: There is no such file, it raises, or it does not define a `Network`.
        FlowtheoryError: What the file itself got wrong in a call of ours, and a bad activation or
            loss, as they are raised.
    """
    found = run_file(path, "network", more=_MORE)
    network = found.get("network")
    if not isinstance(network, Network):
        missing = "network" not in found
        raise FileFormatError(
            f"{path} defines no `network`" if missing else f"`network` in {path} is {network!r}",
            expected="an object of type Network called `network`",
            fix="network = custom(output, parameters, inputs=x), or find_network(...)",
            more=_MORE,
        )
    activation, loss = found.get("activation"), found.get("loss")
    return UserDefinition(
        network,
        None if activation is None else find_activation(activation),
        None if loss is None else find_loss(loss),
    )


@dataclass(frozen=True)
class _Check:
    """The walk over an output that refuses by name what the engine does not read."""

    declared: tuple[Indexed, ...]
    symbols: tuple[Symbol, ...]
    axes: Axes

    def run(self, output: Expr) -> None:
        if not isinstance(output, Basic):
            raise _refusal(f"the output is {output!r}", "a SymPy expression", "see the example")
        tensors = {entry.base for entry in self.declared}
        sizes = {s for entry in self.declared for s in entry.shape} | {s for _, s in self.axes}
        self._visit(output, {}, tensors, sizes | set(self.symbols))
        free, expected = free_axes(output), dict(self.axes)
        if free != expected:
            raise _refusal(
                f"the output has the free indices {_listed(free)}",
                f"those of the axes: {_listed(expected)}",
                "sum over the others, or give `axes` every free index with its size",
            )

    def _visit(
        self, node: Expr, bound: dict[Symbol, Expr], tensors: set[IndexedBase], known: set[Symbol]
    ) -> None:
        if isinstance(node, Indexed):
            self._entry(node, bound, tensors)
        elif isinstance(node, Sum):
            axes = dict(axes_of(node))
            for i, extent in axes.items():
                if extent not in known:
                    raise _refusal(
                        f"{node} sums {i} to {extent}, which is no size of a declared tensor",
                        "sums over a whole axis, from 1 to its size",
                        "write it with `sum_over`",
                    )
            self._visit(node.function, bound | axes, tensors, known)
        elif isinstance(node, Symbol):
            if node not in known:
                raise self._unknown(node, known)
        else:
            for arg in node.args:
                self._visit(arg, bound, tensors, known)

    def _entry(self, entry: Indexed, bound: dict[Symbol, Expr], tensors: set[IndexedBase]) -> None:
        if entry.base not in tensors:
            shapes = [base.shape for base in tensors if str(base) == str(entry.base)]
            raise _refusal(
                f"the output contains {entry}, whose tensor is not declared"
                + "".join(f" with this shape, but with {shape}" for shape in shapes),
                f"one of {_listed(sorted(map(str, tensors)))}, indexed as declared",
                "add its generic entry to parameters, inputs or constants",
            )
        _require_entry(entry)
        for i, extent in zip(entry.indices, entry.shape, strict=True):
            if bound.get(i, extent) != extent:
                raise _refusal(
                    f"in {entry} the index {i} runs to {bound[i]} over an axis of size {extent}",
                    "one size for every index",
                    "check the order of the indices",
                )

    def _unknown(self, symbol: Symbol, known: set[Symbol]) -> ParameterError:
        namesakes = [other for other in known if other.name == symbol.name]
        return _refusal(
            f"the output contains the symbol {symbol}, which is not declared"
            + (" with these assumptions" if namesakes else ""),
            f"sizes of tensors and the symbols given: {_listed(sorted(map(str, known)))}",
            f"pass symbols=[{symbol}] if it is a real parameter; sizes come from `size`",
        )


def _require_entry(entry: Any) -> None:
    """Refuse what is no entry of a tensor with a shape, indexed by symbols."""
    if not isinstance(entry, Indexed) or entry.base.shape is None:
        raise _refusal(
            f"{entry!r} is no entry of a tensor with a shape",
            "generic entries such as W[j, p]",
            "make the tensor with `tensor` and index it",
        )
    if not all(isinstance(i, Symbol) for i in entry.indices):
        raise _refusal(
            f"{entry} is indexed by what is no symbol", "plain index symbols", "use `index`"
        )


def _require_own_name(entry: Indexed) -> None:
    if str(entry.base) in _OURS:
        raise _refusal(
            f"a tensor is called {entry.base}",
            f"a name other than {_listed(_OURS)}: slopes, curvatures, levels and labels",
            "rename it",
        )


def _require_distinct(parameters: Sequence[Indexed]) -> None:
    names = [str(entry.base) for entry in parameters]
    if not names or len(set(names)) < len(names):
        raise _refusal(
            f"the parameters are {_listed(names)}",
            "at least one, each tensor once",
            "list the generic entry of every trained tensor",
        )


def _require_present(output: Expr, parameters: Sequence[Indexed]) -> None:
    present = {entry.base for entry in output.atoms(Indexed)}
    absent = [str(entry.base) for entry in parameters if entry.base not in present]
    if absent:
        raise _refusal(
            f"the output does not contain {_listed(absent)}",
            "an output that depends on every parameter",
            "leave out parameters that are not used",
        )


def _require_groups(groups: Sequence[Sequence[str]], parameters: Sequence[Indexed]) -> None:
    names = sorted(str(entry.base) for entry in parameters)
    if groups and sorted(name for group in groups for name in group) != names:
        raise _refusal(
            f"the groups are {[list(group) for group in groups]}",
            f"every tensor in one group: {_listed(names)}",
            "leave out `groups` to make every tensor a layer",
        )


def _listed(items: Any) -> str:
    pairs: Iterator[str] = (
        (f"{i} (to {extent})" for i, extent in items.items())
        if isinstance(items, dict)
        else map(str, items)
    )
    return ", ".join(pairs) or "none"


def _refusal(wrong: str, expected: str, fix: str) -> ParameterError:
    return ParameterError(wrong, expected=expected, fix=fix, more=_MORE)
