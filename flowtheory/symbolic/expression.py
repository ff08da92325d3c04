"""SymPy's types, as the type checker should see them.

SymPy 1.14 is annotated in part: the arguments of an `Expr` and the indices of an `Indexed` are
`Basic`, which its own functions reject. For the type checker an expression is therefore `Any`, and
tensors have typed indices; at run time all of these are SymPy's own classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sympy import Expr as SymPyExpr
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
        entry: Any = SymPyExpr.__new__(cls, base)
        # As SymPy's own entries: without these it would not even be commutative.
        base._set_assumptions(entry, base.assumptions0)
        return entry

    def _sympystr(self, p: Any) -> Any:
        return p.doprint(self.base.label)

    def _latex(self, printer: Any) -> str:
        return printer.doprint(self.base.label)


__all__ = ["Expr", "Head", "Indexed", "IndexedBase", "Polynomial", "ScalarBase", "ScalarEntry"]
