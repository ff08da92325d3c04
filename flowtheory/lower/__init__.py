"""From SymPy to numbers: the only room that sees both SymPy and JAX."""

from flowtheory.lower.blowup import LeadingBlowUp as LeadingBlowUp
from flowtheory.lower.blowup import blow_up as blow_up
from flowtheory.lower.certified import Enclosure as Enclosure
from flowtheory.lower.certified import enclose as enclose
from flowtheory.lower.certified import enclose_blow_up as enclose_blow_up
from flowtheory.lower.certified import enclose_passage as enclose_passage
from flowtheory.lower.certified import enclose_sum as enclose_sum
from flowtheory.lower.certified import rational as rational
from flowtheory.lower.certified_alignment import Alignment as Alignment
from flowtheory.lower.certified_alignment import enclose_alignment as enclose_alignment
from flowtheory.lower.event_exact import EarlyFlow as EarlyFlow
from flowtheory.lower.event_exact import SmallScaleRun as SmallScaleRun
from flowtheory.lower.event_exact import early_states as early_states
from flowtheory.lower.event_exact import event_exact_start as event_exact_start
from flowtheory.lower.event_exact import solve_small_scale as solve_small_scale
from flowtheory.lower.gradient_flow import gradient_flow as gradient_flow
from flowtheory.lower.lower import lower as lower
from flowtheory.lower.lower import lower_all as lower_all
from flowtheory.lower.network_model import network_model as network_model
from flowtheory.lower.networks import NetworkFunctions as NetworkFunctions
from flowtheory.lower.networks import lower_field as lower_field
from flowtheory.lower.networks import two_layer_functions as two_layer_functions
from flowtheory.lower.scalar import numeric as numeric
from flowtheory.lower.spectrum import IndexStatus as IndexStatus
from flowtheory.lower.spectrum import Linearization as Linearization
from flowtheory.lower.spectrum import linearize_at as linearize_at
