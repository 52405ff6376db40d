"""A number of each crystal, written at once: whatever stops a study, it goes on from there."""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from superionic.errors import SuperionicError
from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.readers import read_candidates

T = TypeVar("T")

WORKFLOWS = Path(__file__).parents[1] / "workflows"
CRYSTALS = ("obelix_crystals", "obelix_crystals_larger", "label_1000K_crystals")
FILES = [WORKFLOWS / f"{name}.jsonl" for name in CRYSTALS]
"""The crystals of OBELiX's training part, and of the labels."""


def in_random_order(names: set[str], first: set[str]) -> Iterator[Candidate]:
    """Yield those crystals of :data:`FILES` that are named, in the order of their hashes.

    Those of ``first`` come first: what is done of either when the time is up is a random part.
    """
    read = (one for one in read_candidates(FILES) if isinstance(one, Candidate))
    found = {one.material_id: one for one in read if one.material_id in names}

    def order(name: str) -> tuple[bool, str]:
        return name not in first, hashlib.sha256(name.encode()).hexdigest()

    yield from (found[name] for name in sorted(found, key=order))


def add_options(compute: argparse.ArgumentParser, results: Path) -> None:
    """Give a command the options that :func:`compute_each` reads."""
    compute.add_argument("--potential", default="chgnet")
    compute.add_argument("--limit-s", type=float, default=float("inf"))
    compute.add_argument("--out", type=Path, default=results)


def read_options(about: str, results: Path) -> argparse.Namespace:
    """Return the options of a study: ``compute`` of :func:`add_options`, or ``table DATA``."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    add_options(commands.add_parser("compute"), results)
    commands.add_parser("table").add_argument("data", type=Path, help="the reference tables")
    return parser.parse_args()


def compute_each(
    options: argparse.Namespace,
    crystals: Iterable[tuple[str, str, T]],
    describe: Callable[[T, Potential], dict[str, Any]],
    digits_s: int,
) -> None:
    """Compute what is not in the output yet, until the time is up.

    Parameters
    ----------
    options : argparse.Namespace
        With the options of :func:`add_options`.
    crystals : iterable of (str, str, object)
        Identifier, formula, and what is described.
    describe : callable
        Returns what is written of a crystal; an error of the project is written as such.
    digits_s : int
        Decimals of the CPU time.
    """
    known = options.out.read_text().splitlines() if options.out.exists() else []
    done = {json.loads(line)["material_id"] for line in known}
    potential = load_potential(options.potential)
    begin = time.monotonic()
    for material_id, formula, crystal in crystals:
        if material_id in done or time.monotonic() - begin > options.limit_s:
            continue
        found = {"material_id": material_id, "formula": formula}
        found |= {"potential": potential.info.label}
        start = time.process_time()
        try:
            found |= describe(crystal, potential)
        except SuperionicError as error:
            found["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
        found["seconds"] = round(time.process_time() - start, digits_s)
        with options.out.open("a") as stream:
            stream.write(json.dumps(found) + "\n")
        print(found, flush=True)
