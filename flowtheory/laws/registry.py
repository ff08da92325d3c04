"""All laws by name. A new law is one file (or package) and one row here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from flowtheory.errors import unknown_name
from flowtheory.laws.aligned_blow_up_time import LAW as ALIGNED_BLOW_UP_TIME
from flowtheory.laws.alignment_time import LAW as ALIGNMENT_TIME
from flowtheory.laws.balancedness import LAW as BALANCEDNESS
from flowtheory.laws.blow_up_width import LAW as BLOW_UP_WIDTH
from flowtheory.laws.bottleneck import LAW as BOTTLENECK
from flowtheory.laws.condensation_rate import LAW as CONDENSATION_RATE
from flowtheory.laws.condensed_orientations import LAW as CONDENSED_ORIENTATIONS
from flowtheory.laws.deep_linear_time import LAW as DEEP_LINEAR_TIME
from flowtheory.laws.deflate_and_restart import LAW as DEFLATE_AND_RESTART
from flowtheory.laws.diagonal_jumps import LAW as DIAGONAL_JUMPS
from flowtheory.laws.discrete_steps import LAW as DISCRETE_STEPS
from flowtheory.laws.escape_by_width import LAW as ESCAPE_BY_WIDTH
from flowtheory.laws.final_stage_cone import LAW as FINAL_STAGE_CONE
from flowtheory.laws.hessian_at_saddles import LAW as HESSIAN_AT_SADDLES
from flowtheory.laws.lazy_prefactor import LAW as LAZY_PREFACTOR
from flowtheory.laws.leader_selection import LAW as LEADER_SELECTION
from flowtheory.laws.leading_flow_error import LAW as LEADING_FLOW_ERROR
from flowtheory.laws.lora_times import LAW as LORA_TIMES
from flowtheory.laws.mode_times import LAW as MODE_TIMES
from flowtheory.laws.phase_slopes import LAW as PHASE_SLOPES
from flowtheory.laws.plateau_degree_two import LAW as PLATEAU_DEGREE_TWO
from flowtheory.laws.plateau_higher_degree import LAW as PLATEAU_HIGHER_DEGREE
from flowtheory.laws.plateau_many_neurons import LAW as PLATEAU_MANY_NEURONS
from flowtheory.laws.record import Law
from flowtheory.laws.relu_linear_plateau import LAW as RELU_LINEAR_PLATEAU
from flowtheory.laws.rotation_to_least_squares import LAW as ROTATION_TO_LEAST_SQUARES
from flowtheory.laws.secondary_plateau_width import LAW as SECONDARY_PLATEAU_WIDTH
from flowtheory.laws.solvable_diagram import LAW as SOLVABLE_DIAGRAM
from flowtheory.laws.swing_by import LAW as SWING_BY
from flowtheory.laws.three_layer_blow_up import LAW as THREE_LAYER_BLOW_UP
from flowtheory.laws.three_layer_slopes import LAW as THREE_LAYER_SLOPES
from flowtheory.laws.thresholds_by_degree import LAW as THRESHOLDS_BY_DEGREE
from flowtheory.laws.unbalanced_linear import LAW as UNBALANCED_LINEAR
from flowtheory.laws.unimodal_bias import LAW as UNIMODAL_BIAS
from flowtheory.laws.wasserstein_motion import LAW as WASSERSTEIN_MOTION

LAWS: Mapping[str, Law] = MappingProxyType(
    {
        law.name: law
        for law in (
            ALIGNMENT_TIME,
            LEADING_FLOW_ERROR,
            DEEP_LINEAR_TIME,
            THREE_LAYER_BLOW_UP,
            ALIGNED_BLOW_UP_TIME,
            CONDENSATION_RATE,
            FINAL_STAGE_CONE,
            BLOW_UP_WIDTH,
            BOTTLENECK,
            PLATEAU_DEGREE_TWO,
            PLATEAU_HIGHER_DEGREE,
            PLATEAU_MANY_NEURONS,
            SECONDARY_PLATEAU_WIDTH,
            WASSERSTEIN_MOTION,
            DISCRETE_STEPS,
            RELU_LINEAR_PLATEAU,
            UNIMODAL_BIAS,
            DIAGONAL_JUMPS,
            LORA_TIMES,
            HESSIAN_AT_SADDLES,
            MODE_TIMES,
            BALANCEDNESS,
            UNBALANCED_LINEAR,
            DEFLATE_AND_RESTART,
            SWING_BY,
            LAZY_PREFACTOR,
            SOLVABLE_DIAGRAM,
            PHASE_SLOPES,
            THREE_LAYER_SLOPES,
            LEADER_SELECTION,
            THRESHOLDS_BY_DEGREE,
            CONDENSED_ORIENTATIONS,
            ESCAPE_BY_WIDTH,
            ROTATION_TO_LEAST_SQUARES,
        )
    }
)


def get_law(name: str) -> Law:
    """The law registered as `name`.

    Raises:
        UnknownNameError: no such law; the message lists the known ones.
    """
    if name not in LAWS:
        raise unknown_name("law", name, LAWS, more="flowtheory laws")
    return LAWS[name]
