"""Imports run one way: every module knows only what lies below it, and no two know each other."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import superionic

SOURCE = Path(superionic.__file__).parent
LAYERS = (
    # Each line knows those above it, and within a line those before it.
    *("moved", "front", "units", "errors", "text", "console", "yaml_file", "fields"),
    *("settings", "defaults", "files"),
    *("diagnosis", "processes", "progress", "statistics"),
    "structures",
    "potentials",
    "landscape",
    *("dynamics", "network", "distillation"),
    "schemas",
    *("store.ranking", "store.database", "store.builders", "store.collection"),
    "workflows.makers.table",  # plain data: what there is of each flow, by name
    "evaluation",
    *("report.numbers", "report.tables", "report.documents"),
    *("report.figures", "report.html", "report.serve"),
    *("workflows.keys", "workflows.jobs", "workflows.makers", "workflows.campaign"),
    "cluster",
    "api",
    *("cli", "__main__"),
)
"""Packages and modules of :mod:`superionic`, from the ground up."""

_COMPUTE = ("workflows.keys", "workflows.jobs", "workflows.makers", "workflows.campaign", "cluster")
SEPARATE = (
    *({"landscape", "dynamics"}, {"landscape", "network"}),
    *({one, "distillation"} for one in ("landscape", "dynamics", "network")),
    # What shows results reads documents; what computes them does not know how they are shown.
    *({shown, computes} for shown in LAYERS if "report." in shown for computes in _COMPUTE),
    *({"evaluation", computes} for computes in _COMPUTE),
)
"""Neighbours that know nothing of each other."""

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""Imports against the order, and the reason of each."""


def modules() -> dict[str, Path]:
    """Return the file of each module, by its path below ``superionic``."""
    found = {}
    for file in SOURCE.rglob("*.py"):
        parts = file.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    del found[""]  # the package itself: version and names of the API, loaded when they are used
    return found


def imports(file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield what a module imports of the package: at its top, in functions, and for types."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # The version is metadata of the installation, and its owner knows nothing of it.
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [one if one[11:] in known else node.module for one in whole]
        else:
            continue
        for name in names:
            if name.startswith("superionic."):
                yield name.removeprefix("superionic.")


def layer(module: str) -> str:
    return max((one for one in LAYERS if f"{module}.".startswith(f"{one}.")), key=len, default="")


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    known = modules()
    return {module: set(imports(file, known)) for module, file in known.items()}


def test_every_module_has_its_layer(graph):
    parents = {"store", "workflows", "report"}  # packages that hold nothing but packages
    assert [module for module in graph if not layer(module) and module not in parents] == []
    assert [one for one in LAYERS if one not in graph] == []


def test_nothing_is_imported_from_above(graph):
    height = {one: number for number, one in enumerate(LAYERS)}
    wrong = {
        (module, other)
        for module, others in graph.items()
        for other in others
        if layer(module) and height[layer(other)] > height[layer(module)]
    }
    assert wrong == set(EXCEPTIONS), "imports against LAYERS, or an exception that is none any more"


def test_neighbours_do_not_know_each_other(graph):
    wrong = [
        (module, other)
        for module, others in graph.items()
        for other in others
        for group in SEPARATE
        if {layer(module), layer(other)} <= group and layer(module) != layer(other)
    ]
    assert wrong == []


def test_no_module_imports_itself_through_others(graph):
    try:
        TopologicalSorter({m: others - {m} for m, others in graph.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_what_the_architecture_names_is_there():
    text = (SOURCE.parents[1] / "ARCHITECTURE.md").read_text()
    names = re.findall(r"`([a-z_/]+\.py)(?:: (\w+))?`", text)
    assert len(names) > 30
    for file, name in names:
        path = SOURCE / file if (SOURCE / file).exists() else SOURCE.parents[1] / file
        assert path.exists(), file
        defined = rf"^(?:def|class) {name}\b|^{name}\b"
        assert not name or re.search(defined, path.read_text(), re.MULTILINE), f"{file}: {name}"
