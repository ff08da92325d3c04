r"""Shortest vectors over a box, the problem behind every sliding mode (numba; import it late).

On kinks where the field points to the kink from both sides a neuron slides, and Filippov's field
is the shortest vector of the convex hull of the fields around:

$$ \min_{\lambda \in [0, 1]^Z} \tfrac12 \Bigl| a + \sum_{i \in Z} \lambda_i g_i x_i \Bigr|^2 . $$

Its optimality conditions are the complementarity problem of the sliding mode: an interior
$\lambda_i$ holds the velocity across kink $i$ at zero, and at a bound the velocity points away from
the kink, into the side that the bound stands for. A primal active-set method, warm-started: data
that left may come back in the same solve, without which the set would depend on the order of the
data. Shared by event-exact propagation, which keeps the factor of the sliding set from event to
event, and by the flow at finite scale.
"""
