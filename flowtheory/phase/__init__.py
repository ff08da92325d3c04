r"""Phase diagrams of condensation: where networks are in them, measured, predicted and judged."""

from flowtheory.phase.asymptotic import Slopes as Slopes
from flowtheory.phase.asymptotic import asymptotic_slopes as asymptotic_slopes
from flowtheory.phase.asymptotic import regime_of as regime_of
from flowtheory.phase.data import samples as samples
from flowtheory.phase.diagram import Diagram as Diagram
from flowtheory.phase.diagram import diagram as diagram
from flowtheory.phase.diagram import zero_crossings as zero_crossings
from flowtheory.phase.finite import Fitted as Fitted
from flowtheory.phase.finite import fit_zeta as fit_zeta
from flowtheory.phase.finite import psi_changes as psi_changes
from flowtheory.phase.finite import solvable_changes as solvable_changes
from flowtheory.phase.finite import width_slopes as width_slopes
from flowtheory.phase.judgement import Judged as Judged
from flowtheory.phase.judgement import judged as judged
from flowtheory.phase.named import Place as Place
from flowtheory.phase.named import limits as limits
from flowtheory.phase.named import place_of as place_of
from flowtheory.phase.point import Point as Point
from flowtheory.phase.study import two_layer_study as two_layer_study
