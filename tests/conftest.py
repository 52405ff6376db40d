"""What all tests share: one thread, a cache of their own, crystals and potentials."""

import importlib.util
import os
import shutil
import signal
import sys

# Before anything imports NumPy or torch: tests run side by side on few cores.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
# Tests start hundreds of processes, each of which would compile all it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from types import ModuleType  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from pymatgen.core import Structure  # noqa: E402
from pymatgen.symmetry.groups import SpaceGroup  # noqa: E402

from superionic.settings import get_settings  # noqa: E402
from zygote import Zygote  # noqa: E402

# pymatgen takes 0.3 s to make one of these, and keeps it for as long as somebody holds it.
_SPACE_GROUPS = [SpaceGroup(symbol) for symbol in ("Fm-3m", "Fd-3m")]

# A deadline per example would fail on a busy machine.
settings.register_profile("superionic", deadline=None)
settings.load_profile("superionic")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files that start processes first: they take longest, and short ones fill the end."""
    long = {item.path for item in items if item.get_closest_marker("process")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def session_cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the cache of whoever runs the tests out of them; self-checks run once a session."""
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERIONIC_CACHE_DIR", str(path))
        get_settings.cache_clear()
        yield path
    get_settings.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def _hear_ctrl_c() -> None:
    """Let processes that tests start hear Ctrl-C, which a shell ignores in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def zygote(session_cache_dir: Path) -> Iterator[Zygote]:
    """Return what commands are forked from, so that they need not import all they use."""
    running = Zygote()
    yield running
    running.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of test data that is not part of the repository."""
    path = os.environ.get("SUPERIONIC_TEST_SHARED")
    if not path:
        pytest.skip("SUPERIONIC_TEST_SHARED names no folder with further crystals and models")
    return Path(path)


@pytest.fixture
def licl() -> Structure:
    """Return wurtzite LiCl (mp-1185319), for which published descriptors are known."""
    lattice = [[1.962441, -3.399048, 0], [1.962441, 3.399048, 0], [0, 0, 6.357161]]
    sites = {
        "Li": [[0, 0, 2.39040061], [1.96243315, 1.13301147, 5.56898111]],
        "Cl": [[0, 0, 6.35070212], [1.96243315, 1.13301147, 3.17211527]],
    }
    return Structure(
        lattice,
        [symbol for symbol, positions in sites.items() for _ in positions],
        [position for positions in sites.values() for position in positions],
        coords_are_cartesian=True,
    )


@pytest.fixture(scope="session")
def load_benchmark() -> Callable[..., ModuleType]:
    """Return what loads a script of the benchmarks, or of a study, anew each time."""

    def load(name: str, folder: str = "benchmarks") -> ModuleType:
        path = Path(__file__).parents[1] / folder / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def example_crystals() -> Path:
    """Return the folder of the example crystals."""
    return Path(__file__).parents[1] / "workflows" / "example_crystals"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Return Chromium; without it the test is skipped, or fails where a browser was promised.

    One for each module and no longer: while it is open, Playwright's event loop counts as running
    in this thread, and neither a second one nor anything else of asyncio starts beside it.
    """

    def missing(reason: str) -> None:
        if os.environ.get("SUPERIONIC_TEST_BROWSER"):
            pytest.fail(f"SUPERIONIC_TEST_BROWSER is set, but {reason}")
        pytest.skip(reason)

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    if program is None:
        missing("there is no Chromium on PATH")
    # 3D figures without a graphics card.
    software_gl = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", *software_gl]
        )
        yield running
        running.close()
