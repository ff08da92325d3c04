"""Exact gradient flow at finite initialization scale, through the kinks of the activation."""

from flowtheory.flow.field import TwoLayer as TwoLayer
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
from flowtheory.flow.stabilised import Effort as Effort
from flowtheory.flow.stabilised import LateRun as LateRun
from flowtheory.flow.stabilised import solve_stabilised as solve_stabilised
from flowtheory.flow.steps import solve_steps as solve_steps
from flowtheory.flow.trajectory import Trajectory as Trajectory
from flowtheory.flow.until import all_classified as all_classified
from flowtheory.flow.until import loss_below as loss_below
