r"""Three questions about the number of laws of one network, in one call and never mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from flowtheory.errors import ParameterError, unknown_name
from flowtheory.symbolic.conserve.count import LawCount, count_laws
from flowtheory.symbolic.conserve.family import Family, all_data, given_flow, leading_order
from flowtheory.symbolic.expression import Indexed
from flowtheory.symbolic.leading import LeadingFlow, leading_flow
from flowtheory.symbolic.network import SAMPLES, Network


class Question(StrEnum):
    """For which flows a law has to hold."""

    ALL_DATA = "all-data"
    LEADING = "leading"
    ONE_FLOW = "one-flow"


def conservation(
    source: Network | LeadingFlow,
    sizes: Mapping[str, int],
    question: str = Question.ALL_DATA,
    *,
    degree: int = 2,
    data: Mapping[str, Sequence[Any]] | None = None,
    seed: int = 0,
) -> LawCount:
    r"""Find the laws of a network with given sizes, and bound their number from both sides.

    The three questions have different answers:

    - "all-data": laws of the full flow, for all data sets and losses. The output must be a
      polynomial in the parameters, piecewise for kinked activations.
    - "leading": laws of the leading flow at small initialization, for all data and targets.
    - "one-flow": laws of the leading flow on the given `data` alone, which are more.

    >>> from flowtheory.symbolic import two_layer
    >>> sizes = {"h": 2, "D": 2}
    >>> one = {"x": [[1, 2]], "c": [1]}
    >>> conservation(two_layer("tanh"), sizes, "leading").upper
    3
    >>> conservation(two_layer("tanh"), {**sizes, "n": 1}, "one-flow", data=one).upper
    5

    Args:
        source: A network, or its leading flow; the laws do not depend on the loss.
        sizes: A number for each symbolic size; for "one-flow" the number of samples `n` as well.
        question: One of the three, or a `Question`.
        degree: The highest degree of the polynomial laws that are searched.
        data: For "one-flow": the inputs x and the weights $c_i$, exact numbers.
        seed: Of the random points.

    Raises:
        UnknownNameError: No such question.
        ParameterError: A size is missing, the output is no polynomial, the network has no leading
            flow at the origin, or data are missing or not asked for.
    """
    if question not in [q.value for q in Question]:
        raise unknown_name("question", str(question), [q.value for q in Question])
    if (data is not None) != (question == Question.ONE_FLOW):
        raise ParameterError(
            f"the question is {str(question)!r} and data are {'given' if data else 'missing'}",
            expected="data for 'one-flow', and for no other question",
            fix="laws for all data need none",
        )
    _check_names(sizes, source.network if isinstance(source, LeadingFlow) else source)
    return count_laws(_family(source, sizes, Question(question), data), degree, seed=seed)


def size_names(network: Network, question: str = Question.ALL_DATA) -> tuple[str, ...]:
    """The symbolic sizes that need a number: those of the parameters, of outputs and of inputs."""
    entries = network.output.atoms(Indexed)
    extents = {s for entry in entries for s in entry.shape} | {s for _, s in network.axes}
    names = {s.name for extent in extents for s in extent.free_symbols}
    return tuple(sorted(names - (set() if question == Question.ONE_FLOW else {str(SAMPLES)})))


def _check_names(sizes: Mapping[str, int], network: Network) -> None:
    known = size_names(network, Question.ONE_FLOW)
    if unknown := sorted(set(sizes) - set(known)):
        raise ParameterError(
            f"{network.name} has no size {', '.join(unknown)}",
            expected=f"sizes of {', '.join(known)}",
            fix="check the spelling",
        )


def _family(
    source: Network | LeadingFlow,
    sizes: Mapping[str, int],
    question: Question,
    data: Mapping[str, Sequence[Any]] | None,
) -> Family:
    if question is Question.ALL_DATA:
        return all_data(source.network if isinstance(source, LeadingFlow) else source, sizes)
    # The laws hold for all weights c_i, so that any loss gives the same ones.
    flow = source if isinstance(source, LeadingFlow) else leading_flow(source, "half_square")
    return leading_order(flow, sizes) if data is None else given_flow(flow, sizes, data)
