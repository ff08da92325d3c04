r"""Conserved quantities: found, counted, and in closed form at symbolic size.

To read in this order:

- `polynomial` (sparse polynomials and fields), `modular` (linear algebra modulo a prime, lifted);
- `family`: which fields a law must be constant along, one constructor for each question;
- `search`: all polynomial laws up to a degree; `lie_rank`: an upper bound of the number of all
  laws; `count` brings the two together;
- `question`: the three questions about a network with given sizes, in one call;
- `architectures`: factorizations with given widths;
- `closed_form`: quantities in index notation, and the proof that they are constant; `find`: all
  quadratic ones of any network; `drift`: how fast a balance is lost that is not exact;
- `summary`: all of this for one network, as a derivation.
"""

from flowtheory.symbolic.conserve.closed_form import imbalance as imbalance
from flowtheory.symbolic.conserve.closed_form import is_conserved as is_conserved
from flowtheory.symbolic.conserve.closed_form import residual as residual
