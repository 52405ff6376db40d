"""Choose crystals for a test on chemistry that no network has learned, with conductors among them.

    python -m studies.force_network.unlearned > workflows/label_1000K_unlearned_crystals.jsonl

Of OBELiX's training part and of the crystals that were labelled with M3GNet (``screening_obelix``
and ``screening_liion`` in datasets/), which have a published row: those of at most 50 atoms without
hydrogen, for which time steps are too long. Of each chemical system of which no crystal has a label
of ours, that with the largest free volume by CHGNet's landscape. Of these the 24 with the largest,
without which few of forty would conduct, and 16 of the others, by the SHA-256 of their identifiers.
They are printed in the order of these, so that a part of them is a random one. No label, and no
measured conductivity, is looked at.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from studies.gains import BASE, published
from superionic.structures.candidate import Candidate
from superionic.structures.readers import read_candidates

WORKFLOWS = Path(__file__).parents[2] / "workflows"
SETS = ("screening_obelix", "screening_liion")
CRYSTALS = ("obelix_crystals.jsonl", "obelix_crystals_larger.jsonl", "liion_crystals.jsonl")
LABELLED = ("label_1000K_crystals.jsonl", "label_1000K_untouched_crystals.jsonl")
MOST_ATOMS = 50
N_FIRST, N_OTHERS = 24, 16


def crystals_of(files: tuple[str, ...]) -> Iterator[Candidate]:
    """Yield the crystals of files in workflows/."""
    for one in read_candidates([WORKFLOWS / name for name in files]):
        if isinstance(one, Candidate):
            yield one


def chosen() -> list[str]:
    """Return identifiers by the rule, in the order of their hashes."""
    learned = {one.structure.chemical_system for one in crystals_of(LABELLED)}
    score = published(SETS).scores[BASE]
    pool = [
        one
        for one in crystals_of(CRYSTALS)
        if one.material_id in score
        and len(one.structure) <= MOST_ATOMS
        and one.structure.is_ordered
        and "H" not in one.structure.symbol_set
        and one.structure.chemical_system not in learned
    ]
    pool.sort(key=lambda one: (-score[one.material_id], one.material_id))
    best: dict[str, str] = {}
    for one in pool:
        best.setdefault(one.structure.chemical_system, one.material_id)
    names = list(best.values())

    def order(name: str) -> str:
        return hashlib.sha256(name.encode()).hexdigest()

    others = sorted(names[N_FIRST:], key=order)[:N_OTHERS]
    return sorted([*names[:N_FIRST], *others], key=order)


def main() -> None:
    lines = [
        line for name in CRYSTALS for line in (WORKFLOWS / name).read_text().splitlines() if line
    ]
    line_of = {json.loads(line)["material_id"]: line for line in lines}
    for name in chosen():
        print(line_of[name])


if __name__ == "__main__":
    main()
