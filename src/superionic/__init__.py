"""Find superionic solid electrolytes with universal interatomic potentials.

>>> import superionic as si
>>> land = si.landscape("workflows/example_crystals/mp-22899.cif", step_A=0.6)
>>> land.mobile_species, land.formula
('Li', 'LiI')
"""

from typing import TYPE_CHECKING, Any

from superionic import api
from superionic.moved import install

if TYPE_CHECKING:
    from superionic.api import *  # noqa: F403

    __version__: str

install()
__all__ = ["__version__"]
__all__ += api.__all__


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        globals()[name] = version("superionic")
        return globals()[name]
    from superionic.front import load

    return load(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
