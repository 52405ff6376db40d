"""Campaigns as data: YAML files that say which crystals, which flow, which settings."""

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from superionic.errors import SettingsError
from superionic.fields import checked
from superionic.potentials.registry import parse_spec
from superionic.potentials.trust import named_outside, require_allowed
from superionic.structures.filters import AnyFilter
from superionic.workflows.makers.base import FlowMaker
from superionic.workflows.makers.table import FlowKind, flow_kind
from superionic.yaml_file import read_yaml

_COMMANDS = frozenset({"vasp_cmd", "vasp_gamma_cmd"})
"""Settings that atomate2 runs as programs."""


class Campaign(BaseModel):
    """What is computed for which crystals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("campaign", min_length=1, description="Name, shown by 'superionic status'.")
    flow: str = Field("screen", description="Kind of flow.")
    crystals: list[Path] = Field(
        min_length=1, description="Files and folders, relative to the campaign file."
    )
    mobile_species: str = Field("Li", description="The mobile ion, such as Li, Na, Ag or F.")
    potential: str | None = Field(
        None, description="Specification of the potential; without it, the setting 'potential'."
    )
    filters: list[AnyFilter] = Field(
        default_factory=list, description="Which of the crystals are computed, one after the other."
    )
    orderings: int = Field(
        1, ge=1, description="Orderings of each disordered crystal that are computed."
    )
    every_copy: bool = Field(
        False, description="Compute crystals again that are the same as another one."
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of the Maker by dotted path, such as "
        "'landscape_maker.settings.grid_step_A: 0.3'; null removes an optional step.",
    )
    categories: dict[str, str] = Field(
        default_factory=dict,
        description="Category of jobs by their name ('landscape: gpu'); 'default' names that of "
        "all others, which is cpu.",
    )
    priority: int = Field(0, description="Jobs of higher priority are launched first.")
    time_limit_s: float | None = Field(
        None, gt=0, description="Longest time of one job in s; none by default."
    )

    @model_validator(mode="after")
    def _known_jobs(self) -> Self:
        kind = flow_kind(self.flow)
        if unknown := sorted(set(self.categories) - {*kind.jobs, "default"}):
            raise ValueError(
                f"the flow '{self.flow}' has no job {', '.join(unknown)}; "
                f"its jobs are {', '.join(kind.jobs)}"
            )
        return self

    @property
    def kind(self) -> FlowKind:
        """The kind of flow."""
        return flow_kind(self.flow)

    def maker(self, default_potential: str) -> FlowMaker:
        """Return the Maker with all settings.

        Raises
        ------
        SettingsError
            When a setting does not exist or has a wrong value.
        """
        from superionic.structures.mobile_ions import exclusion_radius_A
        from superionic.structures.species import parse_mobile_species

        ion = parse_mobile_species(self.mobile_species)
        base = self.kind.maker()(
            mobile_species=ion.element, potential=self.potential or default_potential
        )
        radius = "landscape_maker.settings.exclusion_radius_A"  # its default depends on the ion
        if hasattr(base, "landscape_maker") and radius not in self.settings:
            base = _with_setting(base, radius.split("."), exclusion_radius_A(ion), radius)
        for path, value in self.settings.items():
            base = _with_setting(base, path.split("."), value, path)
        return typing.cast(FlowMaker, base)

    def category(self, job_name: str) -> str:
        """Return the category of a job."""
        return self.categories.get(job_name, self.categories.get("default", "cpu"))


def read_campaign(path: Path) -> Campaign:
    """Read a campaign file; its relative paths start at the folder of the file.

    Raises
    ------
    SettingsError
        When it cannot be read, or holds an unknown or wrong field.
    PotentialNotAllowedError
        When it names code that this site does not allow.
    """
    hint = "See workflows/screen_examples.yaml for an example."
    content = read_yaml(path, f"The campaign file {path} cannot be read", hint)
    if not isinstance(content, dict):
        raise SettingsError(f"The campaign file {path} is not a mapping.", hint=hint)
    try:
        campaign = Campaign.model_validate({"name": path.stem, **content})
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'campaign'}: {e['msg']}" for e in error.errors()
        )
        raise SettingsError(
            f"The campaign file {path} is wrong: {faults}.",
            hint=f"Fields are {', '.join(Campaign.model_fields)}.",
        ) from None
    _require_plain(campaign, path)
    return campaign.model_copy(
        update={"crystals": [path.parent / crystal for crystal in campaign.crystals]}
    )


def _require_plain(campaign: Campaign, path: Path) -> None:
    """Refuse a campaign that names code or programs: a file is data, whoever wrote it."""
    for name, value in _entries({"potential": campaign.potential, **campaign.settings}):
        outside = name == "calculator_kwargs" and named_outside(value)
        if name in _COMMANDS or name.startswith("@") or outside:
            raise SettingsError(
                f"The campaign file {path} names code or a program to be run: '{name}'.",
                hint="Programs and code belong to the site: set atomate2's ATOMATE2_VASP_CMD, or "
                "write a calculator and name it in the setting 'calculators'.",
            )
        if isinstance(value, str) and value.strip().startswith("ase:"):
            spec = parse_spec(value)
            require_allowed(spec.name, spec.settings)


def _entries(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all entries of nested settings, each with its own name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _entries(inner, str(key).rpartition(".")[2])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _entries(inner, name)
    if name:
        yield name, value


def _with_setting(maker: Any, path: list[str], value: Any, whole: str) -> Any:
    """Return a copy of a nested dataclass with one field, named by a path, replaced."""
    name, *rest = path
    fields = [field.name for field in dataclasses.fields(maker)] if _is_settings(maker) else []
    if name not in fields:
        raise SettingsError(
            f"There is no setting '{whole}': '{name}' is not known.",
            hint=f"Known there are {', '.join(fields) or 'no further settings'}.",
        )
    if rest:
        return dataclasses.replace(
            maker, **{name: _with_setting(getattr(maker, name), rest, value, whole)}
        )
    try:
        return dataclasses.replace(maker, **{name: checked(type(maker), name, value, whole)})
    except SettingsError as error:
        if not error.hint:
            error.hint = "Correct the campaign file."
        raise
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"The setting '{whole}' cannot be {value!r}: {error}.",
            hint="Correct the campaign file.",
        ) from None


def _is_settings(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
