r"""What a measured diagram of deeper networks says about the theory of its layers.

At the widths of a sweep slopes differ from those of infinite width by terms of order $1/\ln m$,
up to 0.1 beside a kink; questions are asked with tolerances that admit this and no neighbouring
theory:

- $S$ of the input and the output weights, against the table of two layers;
- the growth beyond the boundary, that of $L$ balanced layers, against that of two:
  $dS/d\gamma = 1/L$ against $1/2$;
- the Frobenius norm of the hidden matrices, and the operator norm, each against the exponents of
  the other;
- the zero crossings of the slope of $W_1$, against a boundary at $\gamma = 1$, that of two layers.
"""

from __future__ import annotations

import numpy as np

from flowtheory.phase.deep_asymptotic import layer_slopes
from flowtheory.phase.deep_diagram import DeepDiagram
from flowtheory.phase.judgement import Judged, verdict_of
from flowtheory.phase.slopes import rms

SLOPES = 0.08
"""Tolerance of the rms of slopes."""
CROSSINGS = 0.1
"""Tolerance of zero crossings; one start a width shifts them by as much at 64 neurons."""
RISE = 0.06
"""Tolerance of the increase of slopes in gamma."""
_BESIDE = 0.1  # of gamma, beside the boundary, where no slope is that of a regime yet


def deep_judged(diagram: DeepDiagram) -> tuple[Judged, ...]:
    """The verdicts on the slopes of the layers and on the boundary."""
    return (ends(diagram), growth(diagram), frobenius(diagram), operator(diagram), zeros(diagram))


def ends(diagram: DeepDiagram) -> Judged:
    """Input and output weights at all points."""
    two = layer_slopes(diagram.gamma[None, :], diagram.gamma_2[:, None], 1)
    measured = np.stack([diagram.slopes.input, diagram.slopes.output])
    return _judged(
        f"slopes of the input and the output weights are those of {diagram.layers} layers",
        measured,
        np.stack([diagram.asymptotic.input, diagram.asymptotic.output]),
        "the table of two layers",
        np.stack([two.input, two.output]),
    )


def growth(diagram: DeepDiagram) -> Judged:
    r"""$dS/d\gamma$ of the input weights beyond the boundary, where all layers have one scale.

    Unlike the slopes themselves, their increase in $\gamma$ is free of what finite widths add to
    all of them alike.
    """
    beyond = diagram.gamma > (diagram.hidden + 1) / 2 + _BESIDE
    rows = diagram.slopes.input[diagram.gamma_2 == 0][:, beyond]
    known = rows[np.isfinite(rows).all(axis=1)]
    enough = known.size and known.shape[1] > 1
    rises = np.polyfit(diagram.gamma[beyond], known.T, 1)[0] if enough else np.zeros(0)
    left, other = rms(rises - 1 / diagram.layers), rms(rises - 1 / 2)
    share = f"{diagram.layers} layers share the growth: dS/dgamma = 1/{diagram.layers}"
    name = f"beyond the boundary {share}"
    verdict = verdict_of(left, other, RISE)
    return Judged(name, verdict, left, RISE, "two share it", other, f"{known.size} slopes")


def frobenius(diagram: DeepDiagram) -> Judged:
    """Hidden matrices in the Frobenius norm."""
    theory = diagram.asymptotic
    return _judged(
        "hidden matrices in the Frobenius norm have an exponent of their own, 1/2 lower",
        diagram.slopes.hidden,
        theory.hidden,
        "that of their operator norm",
        theory.operator,
    )


def operator(diagram: DeepDiagram) -> Judged:
    """Hidden matrices in the operator norm."""
    theory = diagram.asymptotic
    return _judged(
        "hidden matrices in the operator norm have the exponent of the output weights",
        diagram.slopes.operator,
        theory.operator,
        "that of their Frobenius norm",
        theory.hidden,
    )


def zeros(diagram: DeepDiagram) -> Judged:
    """Zero crossings of the slope of the input weights."""
    rows = np.isfinite(diagram.zeros())
    found, theory = diagram.zeros()[rows], diagram.boundary()[rows]
    edge = f"{(diagram.hidden + 1) / 2:g} + {diagram.hidden} max(0, gamma_2)"
    name = f"input weights condense beyond gamma = {edge}"
    left, other = rms(found - theory), rms(found - 1.0)
    scope = f"{len(found)} zero crossings"
    verdict = verdict_of(left, other, CROSSINGS)
    return Judged(name, verdict, left, CROSSINGS, "a boundary at gamma = 1", other, scope)


def _judged(
    name: str, measured: np.ndarray, theory: np.ndarray, alternative: str, against: np.ndarray
) -> Judged:
    left, other = rms(measured - theory), rms(measured - against)
    scope = f"{int(np.isfinite(measured).sum())} slopes"
    verdict = verdict_of(left, other, SLOPES)
    return Judged(name, verdict, left, SLOPES, alternative, other, scope)
