"""Do barriers of vacancies and of interstitial ions tell conductors better?

    python -m studies.carriers crystals DIR/data > crystals.jsonl
    superionic screen crystals.jsonl --carrier vacancy --step 0.35 --max-energies 300
    superionic screen crystals.jsonl --carrier interstitial --step 0.35 --max-energies 300
    superionic query --all --with landscape --format jsonl > rows.jsonl
    python -m studies.carriers table DIR/data rows.jsonl

Many crystals conduct only with carriers that their formula has not. ``crystals`` prints those that
are compared, of the label campaign and of OBELiX's training part with a published row. First those
with a measured conductivity that are ordered, or matched with one that is, of at most 200 atoms in
the cell of 8 A that ``--carrier`` makes; then the others of at most 100, in the order of the
SHA-256 of their identifiers, so that a part of them is a random one. ``table`` compares what is
there. Everything here was fixed, and in the history of the repository, before any number was
compared.

**Scores.** Minus the barrier in one dimension of the vacancy, that of the interstitial ion, and the
lower of both; the mean of the percentiles of this last one and of ``free_volume``. Beside them
``free_volume`` and the barrier in one dimension of the crystal as it is, all on the crystals that
have a row with either carrier.

**Questions** are those of ``studies.frenkel``, and so is the rule: a carrier helps if the gain of
one of its scores over ``free_volume`` without molten crystals, or on ordered and matched ones, has
an interval above zero, and no other gain of that score one below.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from studies.gains import (
    BASE,
    Published,
    comparisons,
    of_experiment,
    published,
    with_base,
)
from studies.one_by_one import FILES, in_random_order
from superionic.defaults import CARRIER_MIN_WIDTH_A
from superionic.errors import InputError
from superionic.report.tables.export import read_rows_file
from superionic.structures.prepare import PrepareSettings, prepare

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "benchmarks" / "results" / "carriers.md"

MOST_ATOMS, MOST_ATOMS_MEASURED = 100, 200
CARRIERS = ("vacancy", "interstitial")
BOTH, WITH_BASE = "lower of both", "mean of percentiles with it"
BARRIER = "barrier_1d_eV"


def chosen(known: Published, data: Path) -> Iterator[str]:
    """Yield the lines of the crystals that are compared, in their order."""
    names = list(known.scores[BASE])
    questions = of_experiment(names, data)
    (first,) = (set(found) for title, found in questions.items() if title.startswith("ordered"))
    lines = (line for path in FILES for line in path.read_text().splitlines())
    line_of = {json.loads(line)["material_id"]: line for line in lines}
    for one in in_random_order(set(names), first):
        most = MOST_ATOMS_MEASURED if one.material_id in first else MOST_ATOMS
        settings = PrepareSettings(supercell_min_width_A=CARRIER_MIN_WIDTH_A, max_atoms=most)
        try:
            prepare(one, "Li", settings)
        except InputError:
            continue
        yield line_of[one.material_id]


def table(known: Published, data: Path, rows: Path) -> str:
    """Return the table as Markdown."""
    barriers: dict[str, dict[str, float]] = {carrier: {} for carrier in CARRIERS}
    for row in read_rows_file(rows):
        carrier = (row.settings.get("landscape") or {}).get("carrier")
        if carrier is not None and row.barrier_1d_eV is not None:
            barriers[carrier][row.material_id] = row.barrier_1d_eV
    base, perfect = known.scores[BASE], known.scores[BARRIER]
    names = sorted(set(base) & set(perfect) & set.intersection(*map(set, barriers.values())))
    scores = {
        f"-E_m, {carrier}": {name: -found[name] for name in names}
        for carrier, found in barriers.items()
    }
    lower = {name: max(one[name] for one in scores.values()) for name in names}
    compared = {
        **scores,
        f"-E_m, {BOTH}": lower,
        f"{BOTH}, {WITH_BASE}": with_base(lower, base),
        BASE: base,
        BARRIER: perfect,
    }
    return (
        f"{len(names)} crystals with a vacancy and with an interstitial ion, CHGNet 0.3.0. ROC-AUC "
        "with 95 % intervals by a bootstrap over chemical systems, the paired gain over "
        f"`{BASE}` after it.\n\n" + comparisons(compared, names, known, data)
    )


def main() -> None:
    """Print the crystals, or write the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("crystals", "table"):
        command = commands.add_parser(name)
        command.add_argument("data", type=Path, help="the reference tables")
        if name == "table":
            command.add_argument("rows", type=Path)
    options = parser.parse_args()
    known = published()
    if options.command == "crystals":
        print("\n".join(chosen(known, options.data)))
    else:
        TABLE.write_text(table(known, options.data, options.rows))


if __name__ == "__main__":
    main()
