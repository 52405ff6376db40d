"""The validation flow of one material: dynamics at several temperatures, and a verdict."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from jobflow import Job

from superionic import defaults
from superionic.dynamics.confirmation import ConfirmationRules
from superionic.errors import SettingsError
from superionic.potentials.registry import parse_spec
from superionic.workflows.jobs.engines.ase import AseEngine
from superionic.workflows.jobs.engines.base import Engine, EngineMaker
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.jobs.relax import RelaxIfNeededMaker, relax_before_forces
from superionic.workflows.jobs.validation import ConfirmForFlowMaker, ConfirmMaker, SupercellMaker
from superionic.workflows.makers.base import MaterialMaker


@dataclass
class ValidateMaker(MaterialMaker):
    """Find out by molecular dynamics whether a material is a superionic conductor.

    The output of the flow is a :class:`~superionic.schemas.validation.ValidationDocument`.

    Parameters
    ----------
    name : str
        Name of the flow.
    mobile_species : str
        Element symbol of the mobile ion.
    potential : str
        Specification of the potential under which the material is brought to equilibrium, and
        which runs the dynamics unless the engine says otherwise.
    temperatures_K : tuple of float
        Temperatures of the runs.
    seed : int
        Seed of the first run; the others count on.
    prepare_maker : PrepareMaker
        Makes the crystal calculable.
    relax_maker : RelaxIfNeededMaker or None
        Brings its positions to equilibrium, at the cell as given.
    supercell_maker : SupercellMaker
        Supercell, time step and length.
    engine : EngineMaker or str
        What runs the dynamics, or its name: ``ase`` or ``vasp``.
    rules : ConfirmationRules
        Numbers of the verdict.
    charge_e : float or None
        Charge of the ion; None takes the usual one.

    Examples
    --------
    >>> flow = ValidateMaker(temperatures_K=(600.0, 900.0)).make(
    ...     "workflows/example_crystals/mp-22899.cif"
    ... )
    >>> [job.name for job in flow.jobs]
    ['prepare', 'relax if needed', 'supercell', 'dynamics', 'dynamics', 'confirm']
    """

    name: str = "validate"
    mobile_species: str = defaults.MOBILE
    potential: str = "chgnet"
    temperatures_K: tuple[float, ...] = defaults.TEMPERATURES_K
    seed: int = 0
    prepare_maker: PrepareMaker = field(default_factory=PrepareMaker)
    relax_maker: RelaxIfNeededMaker | None = field(default_factory=relax_before_forces)
    supercell_maker: SupercellMaker = field(default_factory=SupercellMaker)
    engine: EngineMaker | str = field(default_factory=AseEngine)
    rules: ConfirmationRules = field(default_factory=ConfirmationRules)
    charge_e: float | None = None

    def __post_init__(self) -> None:
        """Find an engine by name; rebuild what serialisation has changed."""
        if isinstance(self.engine, str):
            self.engine = _engine(self.engine)
        if not isinstance(self.engine, EngineMaker):
            raise SettingsError(
                f"engine = {self.engine!r} runs no dynamics.",
                hint="Name ase or vasp, or give an AseEngine or VaspEngine.",
            )
        super().__post_init__()
        self.temperatures_K = tuple(self.temperatures_K)
        if not self.temperatures_K or min(self.temperatures_K) <= 0.0:
            raise SettingsError(
                f"temperatures_K = {self.temperatures_K} holds no positive temperatures.",
                hint="Name several, such as 500, 600, 700, 800 and 1000 K.",
            )
        if len(set(self.temperatures_K)) < len(self.temperatures_K):
            raise SettingsError(
                f"temperatures_K = {self.temperatures_K} names a temperature twice.",
                hint="Name each temperature once.",
            )

    def with_options(
        self,
        *,
        temperatures_K: Sequence[float] | str | None = None,
        length_ps: float | None = None,
        engine: str | None = None,
        calculator: str | None = None,
        seed: int | None = None,
        relax: str | None = None,
    ) -> Self:
        """Return the Maker with the options of ``superionic validate``; None leaves what is set."""
        changes: dict[str, Any] = {}
        if temperatures_K is not None:
            changes["temperatures_K"] = _temperatures_K(temperatures_K)
        if length_ps is not None:
            changes["supercell_maker"] = replace(self.supercell_maker, production_ps=length_ps)
        runs: Any = self.engine
        if engine is not None and type(named := _engine(engine)) is not type(runs):
            runs = named
        if calculator is not None:
            if not isinstance(runs, AseEngine):
                raise SettingsError(
                    "A calculator (--calculator) is for the engine ase.",
                    hint="Leave it out, or choose --engine ase.",
                )
            runs = replace(runs, potential=calculator)
        if seed is not None:
            changes["seed"] = seed
        if relax is not None:
            changes["relax_maker"] = relax_before_forces(relax)
        return replace(self, engine=runs, **changes)

    def steps(self, crystal: Job, prepare: Job) -> list[Job]:
        """Return the jobs after preparation and relaxation."""
        cell = self.supercell_maker.make(crystal.output, prepared=prepare.output)
        engine = self.bound_engine()
        # The hottest first: it tells soonest of a material that melts or does not conduct.
        order = sorted(self.temperatures_K, reverse=True)
        runs = [
            engine.make(
                cell.output, temperature_K, cell.output.n_steps, cell.output.timestep_fs, seed
            )
            for seed, temperature_K in enumerate(order, start=self.seed)
        ]
        for run, temperature_K in zip(runs, order, strict=True):
            run.update_metadata({"temperature_K": temperature_K})
        potential = self.potential if crystal is prepare else crystal.output.potential
        confirm = ConfirmForFlowMaker(flow=self).make(
            cell.output, [run.output for run in runs], potential=potential
        )
        return [cell, *runs, confirm]

    def confirm_maker(self) -> ConfirmMaker:
        """Return what judges the runs."""
        settings = {"temperatures_K": list(self.temperatures_K), "seed": self.seed}
        return ConfirmMaker(
            rules=self.rules,
            stop=self.bound_engine().stop,
            charge_e=self.charge_e,
            settings=settings | self._settings(),
        )

    def bound_engine(self) -> Engine:
        """Return the engine for the mobile ion and potential of the flow."""
        engine: Any = self.engine
        engine = engine.bound(self.potential, self.mobile_species)
        bound: Engine = engine
        return bound

    def bound(self) -> Self:
        """Return the Maker as its jobs are told: the engine knows potential and mobile ion."""
        same = replace(self, potential=str(parse_spec(self.potential)))
        engine: Any = same.bound_engine()
        return replace(same, engine=engine)

    def _settings(self) -> dict[str, Any]:
        """Return what changes numbers, in plain types, for the document."""
        engine: Any = self.bound_engine()
        parts = {
            "engine": {"kind": type(engine).__name__, **asdict(engine)},
            "supercell": asdict(self.supercell_maker),
            "rules": asdict(self.rules),
            "relax": asdict(self.relax_maker) if self.relax_maker else None,
        }
        return {"potential": self.potential, "charge_e": self.charge_e, **parts}


def _engine(name: str) -> EngineMaker:
    if name == "ase":
        return AseEngine()
    if name == "vasp":
        from superionic.workflows.jobs.engines.vasp import (
            VaspEngine,  # takes seconds, seldom needed
        )

        return VaspEngine()
    raise SettingsError(f"There is no engine '{name}'.", hint="Engines are ase and vasp.")


def _temperatures_K(given: Sequence[float] | str) -> tuple[float, ...]:
    """Return temperatures, also from a text such as "500, 700"."""
    try:
        parts = given.replace(",", " ").split() if isinstance(given, str) else given
        return tuple(float(part) for part in parts)
    except ValueError:
        raise SettingsError(
            f"{given!r} is not a list of numbers.", hint="Temperatures are in K: 500,700,1000."
        ) from None
