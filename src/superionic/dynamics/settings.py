"""What a molecular-dynamics run is told; every field changes numbers and is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from superionic.dynamics.integrators import Thermostat
from superionic.errors import DiffusionError


@dataclass(frozen=True)
class MDSettings:
    """What is run; everything here changes numbers.

    Parameters
    ----------
    temperature_K : float
        Temperature of the thermostat and of the initial velocities.
    timestep_fs : float
        Time step.
    thermostat : {"bussi", "langevin", "nose_hoover", "nve"}
        ``bussi`` (stochastic velocity rescaling) disturbs the dynamics least.
    thermostat_time_fs : float
        Relaxation time; for langevin the inverse friction.
    n_equilibration_steps : int
        Steps before the production.
    n_steps : int
        Longest production, in steps; it may be raised to go on with a finished run.
    stride : int
        Steps between stored frames.
    checkpoint_interval : int
        Steps between checkpoints (and chunks on disk).
    seed : int
        Of velocities and thermostat.
    """

    temperature_K: float = 1000.0
    timestep_fs: float = 2.0
    thermostat: Thermostat = "bussi"
    thermostat_time_fs: float = 100.0
    n_equilibration_steps: int = 1000
    n_steps: int = 10_000
    stride: int = 10
    checkpoint_interval: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        positive = ("timestep_fs", "thermostat_time_fs", "n_steps", "stride", "checkpoint_interval")
        bad = [name for name in positive if getattr(self, name) <= 0]
        bad += [
            n for n in ("temperature_K", "n_equilibration_steps", "seed") if getattr(self, n) < 0
        ]
        if self.thermostat not in ("bussi", "langevin", "nose_hoover", "nve"):
            bad.append("thermostat")
        if self.thermostat != "nve" and self.temperature_K == 0.0:
            bad.append("temperature_K")
        if bad:
            faults = ", ".join(f"{name} = {getattr(self, name)!r}" for name in bad)
            raise DiffusionError(
                f"These settings make no sense: {faults}.", hint="See MDSettings for their meaning."
            )

    @property
    def frame_interval_ps(self) -> float:
        """Return the time between frames in ps."""
        return self.stride * self.timestep_fs * 1e-3

    @property
    def last_step(self) -> int:
        """Return equilibration plus production, in steps."""
        return self.n_equilibration_steps + self.n_steps


def planned_ps(settings: Mapping[str, Any]) -> float:
    """Return the longest production that a run was to have, in ps.

    Parameters
    ----------
    settings : mapping
        The fields of :class:`MDSettings`, as documents hold them; 0 where they do not say.
    """
    n_steps, timestep_fs = settings.get("n_steps"), settings.get("timestep_fs")
    return 0.0 if n_steps is None or timestep_fs is None else n_steps * timestep_fs * 1e-3
