"""SymPy's types, as the type checker should see them.

SymPy 1.14 is annotated in part: the arguments of an `Expr` and the indices of an `Indexed` are
`Basic`, which its own functions reject. For the type checker an expression is therefore `Any`, and
tensors have typed indices; at run time all of these are SymPy's own classes, except `Sum`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import sympy
from sympy.core.cache import cacheit
from sympy.tensor.indexed import IndexException

if TYPE_CHECKING:
    from sympy.tensor import indexed as _indexed

    Expr: TypeAlias = Any
    Polynomial: TypeAlias = Any
    Head: Any

    class IndexedBase(_indexed.IndexedBase):
        """A tensor; an entry is got by indexing."""

        label: Any
        shape: tuple[Any, ...]  # type: ignore[assignment]

        def __getitem__(self, indices: Any, **kw_args: Any) -> Indexed: ...

    class Indexed(_indexed.Indexed):
        """An entry of a tensor."""

        base: IndexedBase  # type: ignore[assignment]
        indices: tuple[Any, ...]  # type: ignore[assignment]
        shape: tuple[Any, ...]  # type: ignore[assignment]
else:
    from sympy import Expr
    from sympy import Function as Head
    from sympy import Poly as Polynomial
    from sympy.tensor.indexed import Indexed, IndexedBase


class ScalarBase(IndexedBase):
    """A tensor of rank 0, such as the bias of a scalar output; its entry is `base[()]`."""

    def __getitem__(self, indices: Any, **kw_args: Any) -> Indexed:
        """The entry; `indices` is the empty tuple."""
        if indices != ():
            raise IndexException(f"{self} has no indices")
        return ScalarEntry(self)


class ScalarEntry(Indexed):
    """The entry of a tensor of rank 0, which SymPy's own class does not allow."""

    def __new__(cls, base: Any, **kw_args: Any) -> ScalarEntry:
        """The entry of `base`."""
        entry: Any = sympy.Expr.__new__(cls, base)
        # As SymPy's own entries: without these it would not even be commutative.
        base._set_assumptions(entry, base.assumptions0)
        return entry

    def _sympystr(self, p: Any) -> Any:
        return p.doprint(self.base.label)

    def _latex(self, printer: Any) -> str:
        return printer.doprint(self.base.label)


class Sum(sympy.Sum):
    """SymPy's sum, equal to it, with its free symbols collected once.

    SymPy walks the whole tree below a sum whenever it builds one or asks for its free symbols, and
    it asks in every constructor above. The tree of a network whose activation contains its argument
    twice doubles with every layer, while the number of its distinct subexpressions is linear in the
    number of layers; with remembered answers the cost is that of the distinct ones.
    """

    @cacheit
    def __new__(cls, function: Expr, *limits: Any) -> Sum:  # noqa: D102
        while isinstance(function, sympy.Sum):
            function, limits = function.function, (*function.limits, *limits)
        made: Any = sympy.Expr.__new__(cls, function, *(sympy.Tuple(*limit) for limit in limits))
        made.is_commutative = True
        return made

    @cached_property
    def _free(self) -> frozenset[Any]:
        found = set(self.function.free_symbols)
        for i, first, last in reversed(self.limits):
            found = (found - {i}) | first.free_symbols | last.free_symbols
        return frozenset(found)

    @property
    def free_symbols(self) -> set[Any]:
        """The free symbols; a new set, because SymPy writes into those that it gets."""
        return set(self._free)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, sympy.Sum) and self.args == other.args)

    __hash__ = sympy.Sum.__hash__


__all__ = [
    "Expr",
    "Head",
    "Indexed",
    "IndexedBase",
    "Polynomial",
    "ScalarBase",
    "ScalarEntry",
    "Sum",
]
