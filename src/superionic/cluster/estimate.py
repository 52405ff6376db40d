"""How long a campaign will take, from what has been computed before."""

from dataclasses import dataclass
from statistics import median

from superionic.potentials.base import PotentialInfo
from superionic.store.database.stores import Database

_SAMPLE = 300


@dataclass(frozen=True)
class Estimate:
    """Time of a campaign on one process.

    Parameters
    ----------
    seconds : float or None
        None when nothing of the kind has been computed.
    n_sample : int
        Finished materials that the estimate rests on.
    """

    seconds: float | None
    n_sample: int

    @property
    def text(self) -> str:
        """What to tell the user."""
        if self.seconds is None:
            return (
                "Time: unknown, since no material is finished with this potential; submit a few "
                "and look at 'superionic status'."
            )
        return (
            f"Time: about {self.seconds / 3600:.1f} hours of one process, judged by "
            f"{self.n_sample} finished materials (good within a factor of two or three)."
        )


def estimate_time_s(database: Database, info: PotentialInfo, work: float) -> Estimate:
    """Return the time of a campaign on one process.

    Parameters
    ----------
    database : Database
        Finished materials.
    info : PotentialInfo
        The potential.
    work : float
        Sum of ``Candidate.work`` of its materials.
    """
    criteria = {
        "output.kind": "descriptors",
        "output.potential.weights_sha256": info.weights_sha256,
    }
    fields = ["output.volume_A3", "output.n_atoms", "output.total_wall_time_s"]
    rows = database.job_store.docs_store.query(criteria, properties=fields, limit=_SAMPLE)
    rates = [
        output["total_wall_time_s"] / (output["volume_A3"] * output["n_atoms"] ** 2)
        for output in (row["output"] for row in rows)
    ]
    return Estimate(median(rates) * work if rates else None, len(rates))
