"""Addresses of materials in the databases that they come from."""

import re

_MATERIALS_PROJECT_ID = re.compile(r"(mp|mvc)-\d+")


def material_url(material_id: str) -> str | None:
    """Return the page of a material of the Materials Project; None for others.

    Examples
    --------
    >>> material_url("mp-22899")
    'https://next-gen.materialsproject.org/materials/mp-22899'
    >>> material_url("my crystal") is None
    True
    """
    if not _MATERIALS_PROJECT_ID.fullmatch(material_id):
        return None
    return f"https://next-gen.materialsproject.org/materials/{material_id}"
