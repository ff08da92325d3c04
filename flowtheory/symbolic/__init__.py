"""Derivations in SymPy, in index notation with symbolic sizes; JAX is never imported here.

To read in this order:

- the language: `index` (tensors, sums, renaming), `contract` (rewriting of sums), `normal`
  (equality decided), `differentiate` (gradients and time derivatives), `field` (flows);
- the objects: `activation`, `loss`, `network`, each defined once;
- the derivations: `expand` (small scale), `effective` (leading flow), `conserve`, `direction`,
  `cell`, `angle`, `kinks`; `alignment` puts them in order as a `derivation`, which prints itself;
- what the leading flow does: `linearize` (saddles), `carlson`, `blowup` and `brackets` (times to
  infinity), and laws as an `asymptotic` formula with its domain and remainder: `plateau`, `phase`.
"""

from flowtheory.symbolic.activation import ACTIVATIONS as ACTIVATIONS
from flowtheory.symbolic.activation import Activation as Activation
from flowtheory.symbolic.activation import find_activation as find_activation
from flowtheory.symbolic.activation import leaky_relu as leaky_relu
from flowtheory.symbolic.activation import relu as relu
from flowtheory.symbolic.alignment import derive_alignment as derive_alignment
from flowtheory.symbolic.asymptotic import Formula as Formula
from flowtheory.symbolic.blowup import AlignedFlow as AlignedFlow
from flowtheory.symbolic.blowup import Escape as Escape
from flowtheory.symbolic.blowup import Fate as Fate
from flowtheory.symbolic.blowup import aligned_layers as aligned_layers
from flowtheory.symbolic.blowup import aligned_neuron as aligned_neuron
from flowtheory.symbolic.brackets import Brackets as Brackets
from flowtheory.symbolic.brackets import SelfSimilar as SelfSimilar
from flowtheory.symbolic.carlson import CarlsonR as CarlsonR
from flowtheory.symbolic.carlson import CarlsonRF as CarlsonRF
from flowtheory.symbolic.derivation import Derivation as Derivation
from flowtheory.symbolic.derivation import Line as Line
from flowtheory.symbolic.effective import EffectiveFlow as EffectiveFlow
from flowtheory.symbolic.effective import effective_flow as effective_flow
from flowtheory.symbolic.field import VectorField as VectorField
from flowtheory.symbolic.linearize import Spectrum as Spectrum
from flowtheory.symbolic.linearize import deep_linear_saddle as deep_linear_saddle
from flowtheory.symbolic.linearize import linearize_origin as linearize_origin
from flowtheory.symbolic.loss import LOSSES as LOSSES
from flowtheory.symbolic.loss import Loss as Loss
from flowtheory.symbolic.loss import find_loss as find_loss
from flowtheory.symbolic.network import Network as Network
from flowtheory.symbolic.network import two_layer as two_layer
from flowtheory.symbolic.phase import Regime as Regime
from flowtheory.symbolic.phase import escape_time as escape_time
from flowtheory.symbolic.phase import leader_slopes as leader_slopes
from flowtheory.symbolic.phase import slope_table as slope_table
from flowtheory.symbolic.plateau import exponential_plateau as exponential_plateau
from flowtheory.symbolic.plateau import passage_time as passage_time
from flowtheory.symbolic.plateau import power_plateau as power_plateau
