"""Hand-made outputs of descriptor jobs, and stores in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

from maggma.stores import MemoryStore

from superionic.schemas.common import PotentialDocument
from superionic.schemas.screen import DescriptorsDocument

START = datetime(2026, 1, 1, tzinfo=UTC)


def descriptors(material_id: str, *, xi: float, mpe_eV: float | None = 0.5, **fields: Any) -> dict:
    """Return the output of a descriptors job as the store keeps it."""
    minutes = fields.pop("minutes", 0)
    family, name = fields.pop("potential", "chgnet:0.3.0").split(":")
    values: dict[str, Any] = {
        "material_id": material_id,
        "formula": "LiCl",
        "mobile_species": "Li",
        "task_key": f"key of {material_id}",
        "settings": {
            "landscape": {"grid_step_A": fields.pop("step_A", 0.25)},
            "relaxed": {"max_force_eV_per_A": 0.5},
        },
        "wall_time_s": 1.0,
        "n_evaluations": 10,
        "job_uuid": f"{material_id}-{minutes}",
        "last_updated": START + timedelta(minutes=minutes),
        "potential": PotentialDocument(
            family=family, name=name, package_version="1", weights_sha256=f"weights of {family}"
        ),
        "n_atoms": 2,
        "n_mobile": 1,
        "elements": ["Cl", "Li"],
        "chemical_system": "Cl-Li",
        "volume_A3": 30.0,
        "relaxed": False,
        "mpe_eV": mpe_eV,
        "mobile_sites": [0],
        "mpe_per_ion_eV": [mpe_eV],
        "barrier_1d_eV": mpe_eV,
        "barrier_2d_eV": mpe_eV,
        "barrier_3d_eV": None,
        "fv_connected": 0.1,
        "fv_disconnected": 0.1,
        "xi": xi,
        "landscape_uuid": "landscape",
        "total_wall_time_s": 2.0,
    }
    lists = "thresholds_eV fv_connected_union fv_connected_sum fv_disconnected_union"
    for name in [*lists.split(), "fv_disconnected_sum", "free_volume_A3_per_ion"]:
        values[name] = [0.5]
    return DescriptorsDocument(**(values | fields)).model_dump()


class RecordingStore(MemoryStore):
    """A store in memory that counts documents written."""

    n_written = 0

    def update(self, docs: Any, key: Any = None) -> None:
        self.n_written += len(docs)
        super().update(docs, key=key)


def outputs_store(*outputs: dict) -> MemoryStore:
    store = MemoryStore(key="uuid")
    store.connect()
    add(store, *outputs)
    return store


def add(store: MemoryStore, *outputs: dict) -> None:
    store.update([{"uuid": o["job_uuid"], "index": 1, "output": o} for o in outputs], key="uuid")


def screening_store() -> RecordingStore:
    store = RecordingStore(key="key")
    store.connect()
    return store
