"""Derivations in SymPy, in index notation with symbolic sizes; JAX is never imported here.

To read in this order:

- the language: `index` (tensors, sums, renaming), `contract` (rewriting of sums), `normal`
  (equality decided), `differentiate` (gradients and time derivatives), `field` (flows);
- the objects: `activation`, `loss`, `network`, each defined once;
- the derivations: `expand` (small scale), `effective` (leading flow), `conserve`, `direction`,
  `cell`, `angle`, `kinks`; `alignment` puts them in order as a `derivation`, which prints itself;
- `directions`: where neurons condense, the critical points of a data moment on the sphere;
- `scalings`: initializations as points of the two-layer phase diagram.
"""

from flowtheory.symbolic.activation import ACTIVATIONS as ACTIVATIONS
from flowtheory.symbolic.activation import Activation as Activation
from flowtheory.symbolic.activation import find_activation as find_activation
from flowtheory.symbolic.activation import leaky_relu as leaky_relu
from flowtheory.symbolic.activation import relu as relu
from flowtheory.symbolic.alignment import derive_alignment as derive_alignment
from flowtheory.symbolic.derivation import Derivation as Derivation
from flowtheory.symbolic.derivation import Line as Line
from flowtheory.symbolic.directions.find import critical_directions as critical_directions
from flowtheory.symbolic.directions.moment import Moment as Moment
from flowtheory.symbolic.directions.moment import data_moment as data_moment
from flowtheory.symbolic.directions.moment import moment_definition as moment_definition
from flowtheory.symbolic.directions.moment import tensor_moment as tensor_moment
from flowtheory.symbolic.directions.record import CriticalLine as CriticalLine
from flowtheory.symbolic.directions.record import Directions as Directions
from flowtheory.symbolic.directions.record import Guarantee as Guarantee
from flowtheory.symbolic.directions.record import Orientation as Orientation
from flowtheory.symbolic.directions.record import Stability as Stability
from flowtheory.symbolic.effective import EffectiveFlow as EffectiveFlow
from flowtheory.symbolic.effective import effective_flow as effective_flow
from flowtheory.symbolic.field import VectorField as VectorField
from flowtheory.symbolic.loss import LOSSES as LOSSES
from flowtheory.symbolic.loss import Loss as Loss
from flowtheory.symbolic.loss import find_loss as find_loss
from flowtheory.symbolic.network import Network as Network
from flowtheory.symbolic.network import two_layer as two_layer
from flowtheory.symbolic.scalings import INITIALIZATIONS as INITIALIZATIONS
from flowtheory.symbolic.scalings import Initialization as Initialization
from flowtheory.symbolic.scalings import find_initialization as find_initialization
