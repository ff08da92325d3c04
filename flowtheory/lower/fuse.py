r"""Factors in front of a contraction taken into it, where it has no other use.

Index notation writes $v_k \sum_i \rho_i s_{ki} a_{qi}$, which multiplies a matrix [k, q] by $v$
after the matrix product; inside, $v$ meets the smaller $s$ or $\rho$. This is done after the
numbering by value, when every use is known: a shared contraction is never computed twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from flowtheory.lower.operation import Labels, Operation

Operand = tuple[int, Labels]


def fuse(operations: Sequence[Operation], results: Collection[int]) -> list[Operation]:
    """The same operations under the same numbers, fused; some may then have no use."""
    uses = Counter(number for step in operations for number, _ in step.operands)
    uses.update(results)
    fused: list[Operation] = []
    for step in operations:
        fused.append(_fused(step, fused, uses))
    return fused


def needed(operations: Sequence[Operation], results: Collection[int]) -> set[int]:
    """The numbers of the operations that `results` need."""
    found, pending = set(results), list(results)
    while pending:
        for number, _ in operations[pending.pop()].operands:
            if number not in found:
                found.add(number)
                pending.append(number)
    return found


def _fused(step: Operation, known: Sequence[Operation], uses: Counter[int]) -> Operation:
    if step.kind not in ("multiply", "negate"):
        return step
    rank = len(step.labels)
    inside = [
        operand
        for operand in step.operands
        if known[operand[0]].kind == "contract" and uses[operand[0]] == 1
    ]
    wide = [operand for operand in inside if len(operand[1]) == rank > 0]
    others = [operand for operand in step.operands if operand not in wide[:1]]
    if not wide or any(len(labels) == rank for _, labels in others):
        return step
    number, labels = wide[0]
    inner = known[number]
    sign = inner.detail * (-1 if step.kind == "negate" else 1)
    operands = (*others, *_relabelled(inner, labels, rank))
    return replace(step, kind="contract", detail=sign, operands=operands)


def _relabelled(inner: Operation, labels: Labels, start: int) -> list[Operand]:
    """The operands of `inner` in the labels of the outer operation; summed ones from `start`."""
    name = dict(zip(inner.labels, labels, strict=True))
    for _, own in inner.operands:
        for i in own:
            name.setdefault(i, start + len(name) - len(labels))
    return [(number, tuple(name[i] for i in own)) for number, own in inner.operands]
