"""What ``superionic doctor`` says, and which packages it looks for."""

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("superionic", "torch", "pymatgen", "jobflow", "atomate2", "FireWorks", "maggma")
EXTRAS = {
    "SecantusDB": "server",
    "sevenn": "sevennet",
    "matgl": "matgl",
    "lightning": "network",
    "scikit-image": "report",
}


@dataclass(frozen=True)
class Finding:
    """Something that was looked at, and what was found.

    Parameters
    ----------
    ok : bool or None
        Whether it works; None when it is for information only.
    subject : str
        What was looked at, such as ``potential chgnet``.
    text : str
        What was found.
    hint : str
        What to do about it; empty when there is nothing to do.
    """

    ok: bool | None
    subject: str
    text: str
    hint: str = ""


def diagnose_packages() -> list[Finding]:
    """Say which packages are installed; an optional one that is missing is no fault."""
    findings = [Finding(None, "python", f"{platform.python_version()} on {platform.machine()}")]
    for name in PACKAGES:
        found = _version(name)
        findings.append(
            Finding(True, f"package {name}", found)
            if found
            else Finding(
                False, f"package {name}", "is not installed.", "Install superionic again with pip."
            )
        )
    for name, extra in EXTRAS.items():
        found = _version(name)
        findings.append(
            Finding(True, f"package {name}", found)
            if found
            else Finding(
                None,
                f"package {name}",
                "is not installed (optional).",
                f'pip install "superionic[{extra}]"',
            )
        )
    return findings


def is_installed(name: str) -> bool:
    """Say whether a package is installed."""
    return _version(name) is not None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
