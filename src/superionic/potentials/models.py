"""Models whose weights come with the packages that give them: nothing is downloaded."""

import importlib.util
from dataclasses import dataclass

from superionic.diagnosis import Finding


@dataclass(frozen=True)
class Model:
    """A model that is there as soon as its package is.

    Parameters
    ----------
    spec : str
        What ``--potential`` takes.
    package : str
        Module that has the weights.
    trained_on : str
        Data and functional.
    """

    spec: str
    package: str
    trained_on: str


MODELS = (
    Model("chgnet:0.3.0", "chgnet", "MPtrj, PBE and PBE+U"),
    Model("chgnet:r2scan", "chgnet", "MPtrj, then r2SCAN"),
    Model("chgnet:0.2.0", "chgnet", "MPtrj, PBE and PBE+U; older"),
    Model("sevennet:7net-0", "sevenn", "MPtrj, PBE and PBE+U"),
    Model("sevennet:7net-l3i5", "sevenn", "MPtrj, PBE and PBE+U; larger network"),
    Model('sevennet:7net-mf-0?{"modal":"PBE"}', "sevenn", "MPtrj and r2SCAN together"),
    Model('sevennet:7net-mf-0?{"modal":"R2SCAN"}', "sevenn", "MPtrj and r2SCAN together"),
)
"""All of them, the default first."""


def models_here() -> list[Model]:
    """Return the models whose packages are installed."""
    found = {one.package: importlib.util.find_spec(one.package) is not None for one in MODELS}
    return [one for one in MODELS if found[one.package]]


def diagnose_models() -> Finding:
    """Say which models are at hand; none is loaded for that."""
    specs = [one.spec for one in models_here()]
    further = ""
    if importlib.util.find_spec("matgl") is not None:
        further = "; matgl:FOLDER takes a folder with a model of matgl"
    return Finding(
        ok=None,
        subject="models",
        text=f"{', '.join(specs) or 'none'} come with installed packages{further}; "
        "ase:package.module.Calculator takes any other.",
        hint="",
    )
