"""Derivations in SymPy, in index notation with symbolic sizes; JAX is never imported here.

To read in this order:

- the language: `index` (tensors, sums, renaming), `contract` (rewriting of sums), `normal`
  (equality decided), `differentiate` (gradients and time derivatives), `field` (flows);
- the objects: `activation` (with `ramp` for kinks, `taylor` and `local` for its form at 0, `parse`
  for strings), `loss`, `network`, and the architectures in `networks` with their registry, each
  defined once;
- the derivations: `expand` (small scale), `effective` (leading flow), `conserve` (laws, found and
  counted), `linearize` (spectra at critical points), `direction`, `cell`, `angle`, `kinks`;
  `alignment` puts them in order as a `derivation`, which prints itself;
- other forms of a flow: `polar` (norm and direction), `normalize` (units of the start), `closure`
  and `solvable` (multiplicity 1 beyond the escape), with degrees proved by `homogeneity`;
- aligned layers: `carlson` (the integrals), `blowup` (times and fates), `brackets`;
- laws as objects: `asymptotic` (a formula with its domain and remainder), `plateau`, `horizon`,
  `neuron_scales`, `phase`;
- the phase diagram with its constants: `lazy` and `gaussian` (kernels), `drift` (finite widths),
  `thresholds` (one a degree), `depth_regimes` and `depth_exponents` (more layers),
  `theorems` (as published);
- where neurons go: `directions` (critical points on the sphere), `scalings` (initializations),
  `conventions` (how papers write them).
"""

from flowtheory.symbolic.activation import ACTIVATIONS as ACTIVATIONS
from flowtheory.symbolic.activation import ANY_ACTIVATION as ANY_ACTIVATION
from flowtheory.symbolic.activation import Activation as Activation
from flowtheory.symbolic.activation import absolute as absolute
from flowtheory.symbolic.activation import find_activation as find_activation
from flowtheory.symbolic.activation import leaky_relu as leaky_relu
from flowtheory.symbolic.activation import relu as relu
from flowtheory.symbolic.activation import relu_power as relu_power
from flowtheory.symbolic.activation import sloped_relu as sloped_relu
from flowtheory.symbolic.activation import with_activation as with_activation
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
from flowtheory.symbolic.closure import Closure as Closure
from flowtheory.symbolic.closure import psi_closure as psi_closure
from flowtheory.symbolic.conserve.closed_form import Validity as Validity
from flowtheory.symbolic.conserve.closed_form import gram_difference as gram_difference
from flowtheory.symbolic.conserve.closed_form import imbalance as imbalance
from flowtheory.symbolic.conserve.closed_form import is_conserved as is_conserved
from flowtheory.symbolic.conserve.closed_form import norm_difference as norm_difference
from flowtheory.symbolic.conserve.closed_form import validity as validity
from flowtheory.symbolic.conserve.count import LawCount as LawCount
from flowtheory.symbolic.conserve.count import count_laws as count_laws
from flowtheory.symbolic.conserve.drift import EulerDefect as EulerDefect
from flowtheory.symbolic.conserve.drift import ImbalanceIdentity as ImbalanceIdentity
from flowtheory.symbolic.conserve.drift import euler_defect as euler_defect
from flowtheory.symbolic.conserve.drift import imbalance_identity as imbalance_identity
from flowtheory.symbolic.conserve.family import Family as Family
from flowtheory.symbolic.conserve.family import all_data as all_data
from flowtheory.symbolic.conserve.family import given_flow as given_flow
from flowtheory.symbolic.conserve.family import gradients as gradients
from flowtheory.symbolic.conserve.family import leading_order as leading_order
from flowtheory.symbolic.conserve.family import one_flow as one_flow
from flowtheory.symbolic.conserve.family import vector_fields as vector_fields
from flowtheory.symbolic.conserve.find import ClosedLaw as ClosedLaw
from flowtheory.symbolic.conserve.find import Scope as Scope
from flowtheory.symbolic.conserve.find import closed_laws as closed_laws
from flowtheory.symbolic.conserve.question import Question as Question
from flowtheory.symbolic.conserve.question import conservation as conservation
from flowtheory.symbolic.conventions import CONVENTIONS as CONVENTIONS
from flowtheory.symbolic.conventions import Convention as Convention
from flowtheory.symbolic.conventions import convert as convert
from flowtheory.symbolic.depth_exponents import DepthExponents as DepthExponents
from flowtheory.symbolic.depth_exponents import depth_exponents as depth_exponents
from flowtheory.symbolic.depth_regimes import DepthRegime as DepthRegime
from flowtheory.symbolic.depth_regimes import depth_regimes as depth_regimes
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
from flowtheory.symbolic.drift import Contour as Contour
from flowtheory.symbolic.drift import contour as contour
from flowtheory.symbolic.effective import EffectiveFlow as EffectiveFlow
from flowtheory.symbolic.effective import effective_flow as effective_flow
from flowtheory.symbolic.field import VectorField as VectorField
from flowtheory.symbolic.gaussian import GaussianKernels as GaussianKernels
from flowtheory.symbolic.gaussian import gaussian_kernels as gaussian_kernels
from flowtheory.symbolic.horizon import validity_horizon as validity_horizon
from flowtheory.symbolic.lazy import LazyLimit as LazyLimit
from flowtheory.symbolic.lazy import lazy_limit as lazy_limit
from flowtheory.symbolic.linearize import Spectrum as Spectrum
from flowtheory.symbolic.linearize import deep_linear_saddle as deep_linear_saddle
from flowtheory.symbolic.local import LocalForm as LocalForm
from flowtheory.symbolic.loss import LOSSES as LOSSES
from flowtheory.symbolic.loss import Loss as Loss
from flowtheory.symbolic.loss import find_loss as find_loss
from flowtheory.symbolic.network import Network as Network
from flowtheory.symbolic.networks.convolutional import convolutional as convolutional
from flowtheory.symbolic.networks.custom import UserDefinition as UserDefinition
from flowtheory.symbolic.networks.custom import custom as custom
from flowtheory.symbolic.networks.custom import load_network as load_network
from flowtheory.symbolic.networks.fully_connected import fully_connected as fully_connected
from flowtheory.symbolic.networks.fully_connected import two_layer as two_layer
from flowtheory.symbolic.networks.late_fusion import late_fusion as late_fusion
from flowtheory.symbolic.networks.linear import deep_linear as deep_linear
from flowtheory.symbolic.networks.linear import diagonal_linear as diagonal_linear
from flowtheory.symbolic.networks.linear import matrix_factorization as matrix_factorization
from flowtheory.symbolic.networks.lora import lora as lora
from flowtheory.symbolic.networks.prelu import prelu as prelu
from flowtheory.symbolic.networks.registry import ARCHITECTURES as ARCHITECTURES
from flowtheory.symbolic.networks.registry import Architecture as Architecture
from flowtheory.symbolic.networks.registry import find_network as find_network
from flowtheory.symbolic.networks.residual import residual as residual
from flowtheory.symbolic.neuron_scales import NeuronScales as NeuronScales
from flowtheory.symbolic.neuron_scales import neuron_scales as neuron_scales
from flowtheory.symbolic.normalize import NormalizedFlow as NormalizedFlow
from flowtheory.symbolic.normalize import normalize as normalize
from flowtheory.symbolic.origin import linearize_origin as linearize_origin
from flowtheory.symbolic.phase import Regime as Regime
from flowtheory.symbolic.phase import escape_time as escape_time
from flowtheory.symbolic.phase import leader_slopes as leader_slopes
from flowtheory.symbolic.phase import slope_table as slope_table
from flowtheory.symbolic.plateau import exponential_plateau as exponential_plateau
from flowtheory.symbolic.plateau import passage_time as passage_time
from flowtheory.symbolic.plateau import power_plateau as power_plateau
from flowtheory.symbolic.polar import NeuronPolar as NeuronPolar
from flowtheory.symbolic.polar import PolarFlow as PolarFlow
from flowtheory.symbolic.polar import neuron_polar as neuron_polar
from flowtheory.symbolic.polar import polar_flow as polar_flow
from flowtheory.symbolic.scalings import INITIALIZATIONS as INITIALIZATIONS
from flowtheory.symbolic.scalings import Initialization as Initialization
from flowtheory.symbolic.scalings import find_initialization as find_initialization
from flowtheory.symbolic.solvable import SolvableDiagram as SolvableDiagram
from flowtheory.symbolic.solvable import solvable_diagram as solvable_diagram
from flowtheory.symbolic.theorems import Bound as Bound
from flowtheory.symbolic.theorems import luo_lower as luo_lower
from flowtheory.symbolic.theorems import luo_upper as luo_upper
from flowtheory.symbolic.theorems import orientations as orientations
from flowtheory.symbolic.theorems import sharper_lower as sharper_lower
from flowtheory.symbolic.thresholds import Threshold as Threshold
from flowtheory.symbolic.thresholds import degree_thresholds as degree_thresholds
