"""The record of the law."""

from __future__ import annotations

import sympy as sp

from flowtheory.clock import REFERENCE
from flowtheory.laws.leading_flow_error import formulas as f
from flowtheory.laws.leading_flow_error.controls import CONTROLS
from flowtheory.laws.leading_flow_error.experiments import feedback, no_feedback
from flowtheory.laws.leading_flow_error.figures import leading_flow_error_figures
from flowtheory.laws.record import Experiment, Law, Statement, SymbolInfo

_OURS = "derived here, docs/laws/leading-flow-error"

LAW = Law(
    name="leading-flow-error",
    title="error of the leading flow, small initialization, smooth networks",
    statements=(
        Statement(
            "order", "derived", sp.Eq(f.error, f.ERROR), _OURS,
            "up to a factor 1 + o(1), at a fixed time tau = eps^(k-2) t of the leading flow",
        ),
        Statement(
            "constant", "derived", sp.Eq(f.constant, f.CONSTANT), _OURS,
            "delta: the first variation of the leading flow by the next term of the loss",
        ),
    ),
    symbols=(
        SymbolInfo(f.error, "|theta/eps - thetabar|/|thetabar|, full against leading flow", "1"),
        SymbolInfo(f.eps, "initialization scale: theta(0) = eps thetabar(0)", "1"),
        SymbolInfo(f.gap, "gap: the loss varies with eps^k first, and then with eps^(k+q)", "1"),
        SymbolInfo(f.constant, "constant of the start, the data and the time", "1"),
        SymbolInfo(f.leading, "state of the leading flow", "parameter/eps"),
        SymbolInfo(f.variation, "first variation of it in eps^q", "parameter/eps"),
    ),
    assumptions=(),
    clock=REFERENCE,
    experiments=(
        Experiment("no-feedback", "loss linear in the output", no_feedback),
        Experiment("feedback", "the loss itself", feedback),
    ),
    controls=CONTROLS,
    not_shown=(
        "times near the blow-up of the leading flow, where C grows without bound",
        "times that grow with ln(1/eps), as the whole plateau does for k = 2",
        "kinked activations, whose pattern switches (alignment-time measures that)",
        "data whose moments make the leading term vanish: k is then higher",
    ),
    references=(
        "H. Maennel, O. Bousquet, S. Gelly. Gradient descent quantizes ReLU network features. "
        "2018. arXiv:1803.08367 (leading flow of two layers).",
        "Z. Chen, T. Luo. On the dynamics of three-layer neural networks: initial condensation. "
        "2024. arXiv:2402.15958 (of three layers).",
    ),
    docs="docs/laws/leading-flow-error.md",
    derive=f.derive_order,
    figures=leading_flow_error_figures,
)  # fmt: skip
