"""A row of the screening collection with made-up numbers, for tests of what reads rows."""

from superionic.schemas.screening import ScreeningDocument


def row(material_id: str = "a", **fields) -> ScreeningDocument:
    """Return a row without a landscape; fields go before what stands here."""
    values = {
        "key": f"{material_id}|Li|chgnet:0.3.0",
        "superionic_version": "1",
        "material_id": material_id,
        "formula": "LiCl",
        "elements": ["Cl", "Li"],
        "chemical_system": "Cl-Li",
        "n_atoms": 2,
        "n_mobile": 1,
        "mobile_species": "Li",
        "potential": "chgnet:0.3.0",
        "potential_weights_sha256": "w",
        "potential_package_version": "1",
        "task_key": "k",
        "settings": {},
        "source": "",
        "relaxed": False,
        "warnings": [],
        "n_runs": 1,
        "last_updated": "2026-01-01",
    }
    return ScreeningDocument(**(values | fields))
