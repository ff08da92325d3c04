"""Figures that can go into a paper as they are: arrays or evidence in, matplotlib figures out."""

from flowtheory.plot.bound import bound_figure as bound_figure
from flowtheory.plot.cuts import Cut as Cut
from flowtheory.plot.cuts import cuts_figure as cuts_figure
from flowtheory.plot.directions import directions_figure as directions_figure
from flowtheory.plot.features import Cloud as Cloud
from flowtheory.plot.features import Maps as Maps
from flowtheory.plot.features import features_figure as features_figure
from flowtheory.plot.field import Field as Field
from flowtheory.plot.field import Resting as Resting
from flowtheory.plot.field import field_figure as field_figure
from flowtheory.plot.functions import Learned as Learned
from flowtheory.plot.functions import functions_figure as functions_figure
from flowtheory.plot.order import order_figure as order_figure
from flowtheory.plot.phase import phase_figure as phase_figure
from flowtheory.plot.phase import widths_figure as widths_figure
from flowtheory.plot.regimes import Family as Family
from flowtheory.plot.regimes import Region as Region
from flowtheory.plot.regimes import regimes_figure as regimes_figure
from flowtheory.plot.run import run_figure as run_figure
from flowtheory.plot.similarity import Pair as Pair
from flowtheory.plot.similarity import similarity_figure as similarity_figure
from flowtheory.plot.slopes import Slope as Slope
from flowtheory.plot.slopes import in_cone_figure as in_cone_figure
from flowtheory.plot.slopes import slopes_figure as slopes_figure
from flowtheory.plot.training import training_figure as training_figure
