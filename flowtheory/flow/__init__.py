"""Exact gradient flow at finite initialization scale, through the kinks of the activation."""

from flowtheory.flow.blowup import BlowUp as BlowUp
from flowtheory.flow.blowup import Interval as Interval
from flowtheory.flow.blowup import blow_up as blow_up
from flowtheory.flow.coordinates import Polar as Polar
from flowtheory.flow.coordinates import SundmanFlow as SundmanFlow
from flowtheory.flow.coordinates import from_polar as from_polar
from flowtheory.flow.coordinates import local_degree as local_degree
from flowtheory.flow.coordinates import to_polar as to_polar
from flowtheory.flow.field import TwoLayer as TwoLayer
from flowtheory.flow.growth import Growth as Growth
from flowtheory.flow.growth import time_of_growth as time_of_growth
from flowtheory.flow.integrate import SmoothEnd as SmoothEnd
from flowtheory.flow.integrate import solve_smooth as solve_smooth
from flowtheory.flow.kinked import solve as solve
from flowtheory.flow.late import continue_late as continue_late
from flowtheory.flow.observe import spectrum as spectrum
from flowtheory.flow.observe import weights as weights
from flowtheory.flow.observe import weights_and_spectrum as weights_and_spectrum
from flowtheory.flow.problem import GradientFlow as GradientFlow
from flowtheory.flow.schedule import log_times as log_times
from flowtheory.flow.settings import Settings as Settings
from flowtheory.flow.steps import solve_steps as solve_steps
from flowtheory.flow.trajectory import Trajectory as Trajectory
from flowtheory.flow.until import all_classified as all_classified
from flowtheory.flow.until import loss_below as loss_below
