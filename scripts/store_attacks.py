"""Looks long for the worst case of each bound and stores it with the package.

    python scripts/store_attacks.py [--generations 400] [--seed 0] [LAW ...]

Every search starts from what is stored and replaces it only by something worse for the bound. The
cases lie in flowtheory/laws/attacks/LAW.json; every run of the law begins with them.
"""

from __future__ import annotations

import argparse
import json
import math

import numpy as np

from flowtheory.laws.attack import STORED, Attack, stored_cases, worst
from flowtheory.laws.registry import LAWS, get_law


def improve(attack: Attack, generations: int, seed: int) -> None:
    """Search from the stored case, and store the worst one found."""
    rows = attack.search(generations, np.random.default_rng((seed, *attack.name.encode())))
    found = worst(attack, rows)
    if found is None or found.case == attack.stored:
        print(f"{attack.law}, {attack.name}: nothing worse found", flush=True)
        return
    kept = stored_cases(attack.law)
    kept[attack.name] = {"ratio": found.ratio, "case": list(found.case)}
    STORED.mkdir(exist_ok=True)
    path = STORED / f"{attack.law}.json"
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    short = 1 - math.exp(attack.nearness(found))
    print(f"{attack.law}, {attack.name}: ratio {found.ratio:.9g}, {short:.1e} short", flush=True)


def main() -> None:
    """Improve the attacks of the laws named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("laws", nargs="*", metavar="LAW")
    parser.add_argument("--generations", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for law in asked.laws or LAWS:
        for attack in get_law(law).attacks:
            improve(attack, asked.generations, asked.seed)


if __name__ == "__main__":
    main()
