"""Barriers of single hops against DFT nudged elastic bands of the literature.

    python -m studies.hops.barriers --paths em_li_paths.jsonl em_other_ions_paths.jsonl --band

Computes, small cells first, what is not in the output yet (one line a path, written at once), then
writes the tables: of lithium by method, of every ion, and of one factor between ours and the
literature's (:mod:`studies.hops.softening`). ``--limit-s`` ends a run in time; the same command
goes on. ``--table`` computes nothing.

The band is ours and not that of atomate2 (``ForceFieldNebFromEndpointsMaker``), because that copies
the whole potential for each image, lets the image climb from the first step or not at all, and does
not say how many forces it took.
"""

import argparse
import json
import time
from pathlib import Path

from jobflow import run_locally

from studies.hops.hop import HopSettings
from studies.hops.maker import HopMaker
from studies.hops.paths import (
    barrier_quality,
    clearance_of_line,
    ion_table,
    is_broken,
    methods_of,
    quality_table,
    read_paths,
)
from studies.hops.softening import softening_table
from superionic.errors import SuperionicError

METHODS = {
    "frozen_eV": "frozen framework, as given",
    "relaxed_eV": "frozen framework, relaxed at the start",
    "halfway_eV": "frozen framework, half-way between the relaxed ends",
    "band_eV": "nudged elastic band",
}
NAMES = {"mace_norelax": "MACE, unrelaxed path", "mace_relax": "MACE, relaxed path"}

RESULTS = Path(__file__).parents[2] / "benchmarks/results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paths", type=Path, nargs="+", required=True)
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--max-atoms", type=int, default=130)
    parser.add_argument("--band", action="store_true", help="nudged elastic bands, too")
    parser.add_argument("--relax", action="store_true", help="frozen, but relaxed frameworks, too")
    parser.add_argument("--grid-step-A", type=float, default=HopSettings().grid_step_A)
    parser.add_argument("--limit-s", type=float, default=float("inf"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="write the tables, compute nothing")
    options = parser.parse_args()
    if options.table:
        options.limit_s = -1.0

    known = [path for file in options.paths for path in read_paths(file)]
    paths = [path for path in known if len(path.structure) <= options.max_atoms]
    paths.sort(key=lambda path: len(path.structure))
    file = options.out / "hop_barriers.jsonl"
    options.out.mkdir(parents=True, exist_ok=True)
    rows = {}
    if file.exists():
        rows = {row["id"]: row for row in map(json.loads, file.read_text().splitlines())}
    begin = time.monotonic()
    for path in paths:
        done = rows.get(path.path_id)
        if is_broken(path):
            continue
        if done is not None and ("error" in done or all(name in done for name in wanted(options))):
            continue
        if time.monotonic() - begin > options.limit_s:
            break
        rows[path.path_id] = row = compute(path, options)
        with file.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        shown = ("id", "n_atoms", *METHODS, "seconds", "error")
        print({name: row.get(name) for name in shown}, flush=True)

    write_table([path for path in paths if path.ion == "Li"], rows, options)
    write_ions(known, rows, options)
    (options.out / "hop_barriers_softening.md").write_text(
        softening_table(list(rows.values()), METHODS)
    )


def wanted(options):
    names = ["frozen_eV"]
    if options.relax:
        names += ["relaxed_eV", "halfway_eV"]
    return [*names, "band_eV"] if options.band else names


def compute(path, options):
    row = {"id": path.path_id, "formula": path.formula, "ion": path.ion}
    row |= {"literature_eV": path.barrier_eV}
    row |= {"n_atoms": len(path.structure), "grid_step_A": options.grid_step_A}
    begin = time.process_time()
    settings = HopSettings(grid_step_A=options.grid_step_A)
    maker = HopMaker(settings=settings, relax=options.relax, band=options.band)
    hop = maker.make(
        path.structure, path.start, path.end, options.potential, material_id=path.path_id
    )
    try:
        answer = run_locally(hop, ensure_success=True, log=False)
    except (SuperionicError, RuntimeError) as error:
        return {**row, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
    document = answer[hop.uuid][1].output
    row |= {name: getattr(document, name) for name in wanted(options)}
    row |= {
        "band_converged": document.band_converged,
        "warnings": [warning.code for warning in document.warnings],
        "n_energies": document.n_energies,
        "n_forces": document.n_forces,
        "frozen_seconds": round(document.frozen_core_s, 1),
        "seconds": round(time.process_time() - begin, 1),
    }
    return row


def write_ions(paths, rows, options):
    """Write the table by ion: of frozen barriers, and of paths that have a band, too."""
    text = []
    for names, others, cost in (
        (["frozen_eV"], "mace_norelax", "frozen_seconds"),
        (["frozen_eV", "band_eV"], "mace_relax", "seconds"),
    ):
        computed = {
            name: {METHODS[m]: row[m] for m in names}
            for name, row in rows.items()
            if all(row.get(m) is not None for m in names)
        }
        methods = methods_of(paths, computed)
        wanted = [*(METHODS[m] for m in names), others]
        methods = {NAMES.get(name, name): methods.get(name, {}) for name in wanted}
        seconds = {name: row[cost] for name, row in rows.items() if cost in row}
        text.append(ion_table(paths, methods, seconds))
    text.append("MACE, as the collection has it, on all its paths but broken ones:\n")
    whole = methods_of(paths, {path.path_id: {} for path in paths if not is_broken(path)})
    others = {NAMES[name]: whole[name] for name in NAMES if name in whole}
    text.append(ion_table(paths, others, {}))
    own = {path.path_id: path for path in paths}
    for kind in sorted({path.ion == "Li" for path in paths}, reverse=True):
        having = [path for path in paths if path.path_id in rows and (path.ion == "Li") == kind]
        sizes = [len(path.structure) for path in having]
        largest = max(sizes, default=0)
        missing = [
            path.path_id
            for path in paths
            if (path.ion == "Li") == kind
            and len(path.structure) <= largest
            and path.path_id not in rows
            and not is_broken(path)
        ]
        text.append(
            f"{'Lithium' if kind else 'Other ions'}: {len(having)} paths computed, the smallest "
            f"cells first, of {min(sizes, default=0)} to {largest} atoms; of that size "
            f"{len(missing)} are missing. With a band: "
            f"{sum(rows[path.path_id].get('band_eV') is not None for path in having)}."
        )
    notes = {
        "failed": [name for name, row in rows.items() if "error" in row],
        "had no way below 10 eV in the frozen framework": [
            name for name, row in rows.items() if "error" not in row and row["frozen_eV"] is None
        ],
        "had no band, because the ends relax to the same place": [
            name for name, row in rows.items() if "no_hop" in row.get("warnings", [])
        ],
        "had a band that was not converged when its steps were spent": [
            name for name, row in rows.items() if row.get("band_converged") is False
        ],
    }
    for what, names in notes.items():
        text.append(f"{len(names)} {what}: {', '.join(names) or '-'}.")
    broken = [path.path_id for path in paths if is_broken(path)]
    text.append(f"{len(broken)} broken, two ions in one place: {', '.join(broken) or '-'}.")
    text.append("")
    text.append(
        "Lines from start to end that come nearer than 0.5 A to another ion, in all the paths:"
    )
    text.append("")
    text.append(
        "| id | formula | ion | nearest ion (A) | literature (eV) | frozen (eV) | band (eV) | "
        "MACE, relaxed (eV) |"
    )
    text.append("| --- |" + " --- |" * 7)
    near = {name: clearance_of_line(path) for name, path in own.items() if not is_broken(path)}
    for name in sorted((n for n in near if near[n][0] < 0.5), key=lambda n: -own[n].barrier_eV):
        path, row = own[name], rows.get(name, {})
        found = [path.barrier_eV, row.get("frozen_eV"), row.get("band_eV")]
        found.append(path.others_eV.get("mace_relax"))
        cells = ["-" if value is None else f"{value:.2f}" for value in found]
        text.append(
            f"| {name} | {path.formula} | {path.ion} | {near[name][1]} {near[name][0]:.2f} | "
            f"{' | '.join(cells)} |"
        )
    result = "\n".join(text) + "\n"
    (options.out / "hop_barriers_by_ion.md").write_text(result)
    print(result)


def write_table(paths, rows, options):
    tables = []
    own = {path.path_id for path in paths}
    rows = {name: row for name, row in rows.items() if name in own}
    systems = {path.path_id: path.structure.chemical_system for path in paths}
    compared = 0
    for names in ([*METHODS], ["frozen_eV", "band_eV"], ["frozen_eV"]):
        complete = {
            name: {METHODS[m]: row[m] for m in names}
            for name, row in rows.items()
            if all(row.get(m) is not None for m in names)
        }
        if len(complete) <= compared:  # with fewer methods, but no more paths: nothing new
            continue
        compared = len(complete)
        methods = methods_of(paths, complete)
        methods = {NAMES.get(method, method): values for method, values in methods.items()}
        literature = {path.path_id: path.barrier_eV for path in paths}
        tables.append(quality_table(barrier_quality(methods, literature, groups=systems)))
    without = [name for name, row in rows.items() if row.get("band_eV", 0.0) is None]
    failed = [row["id"] for row in rows.values() if "error" in row]
    unfinished = [name for name, row in rows.items() if row.get("band_converged") is False]
    notes = {
        "failed": failed,
        "had no band, because the ends relax to the same place": without,
        "had a band that was not converged when its steps were spent": unfinished,
    }
    text = "\n".join(tables) + "\n"
    for what, ids in notes.items():
        text += f"{len(ids)} paths {what}: {', '.join(ids) or '-'}.\n"
    (options.out / "hop_barriers.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
