"""Figures that can go into a paper as they are: arrays or evidence in, matplotlib figures out."""

from flowtheory.plot.bound import bound_figure as bound_figure
from flowtheory.plot.directions import directions_figure as directions_figure
from flowtheory.plot.order import order_figure as order_figure
from flowtheory.plot.phase import phase_figure as phase_figure
from flowtheory.plot.phase import widths_figure as widths_figure
from flowtheory.plot.run import run_figure as run_figure
from flowtheory.plot.slopes import Slope as Slope
from flowtheory.plot.slopes import in_cone_figure as in_cone_figure
from flowtheory.plot.slopes import slopes_figure as slopes_figure
from flowtheory.plot.training import training_figure as training_figure
