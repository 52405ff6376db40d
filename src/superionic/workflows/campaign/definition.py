"""What a campaign is: which crystals, which flow, which settings; also as a YAML file."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from superionic import defaults
from superionic.errors import SettingsError
from superionic.fields import checked, is_settings
from superionic.potentials.registry import parse_spec
from superionic.potentials.trust import named_outside, require_allowed
from superionic.settings import get_settings
from superionic.structures.filters import AnyFilter
from superionic.workflows.makers.table import FlowKind, flow_kind
from superionic.yaml_file import read_yaml

if typing.TYPE_CHECKING:
    from superionic.structures.species import MobileSpecies
    from superionic.workflows.makers.base import MaterialMaker

_COMMANDS = frozenset({"vasp_cmd", "vasp_gamma_cmd"})
"""Settings that atomate2 runs as programs."""
_HINT = "See workflows/screen_examples.yaml for an example."


class Best(BaseModel):
    """The best materials of the screening collection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    top: int = Field(
        10, ge=0, description="As many of the best; 0 means all that have a score of the policy."
    )
    policy: str = Field(defaults.POLICY, description="Ranking policy.")
    ids: tuple[str, ...] = Field((), description="Identifiers: these, whatever their rank.")


class Campaign(BaseModel):
    """What is computed for which crystals."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str = Field("campaign", min_length=1, description="Name, shown by 'superionic status'.")
    flow: str = Field("screen", description="Kind of flow.")
    crystals: list[Any] = Field(
        default_factory=list,
        description="Files and folders, relative to the campaign file; in Python also structures.",
    )
    best: Best | None = Field(
        None,
        description="Only the best of the crystals by the screening collection; without crystals, "
        "of all in it.",
    )
    mobile_species: str = Field(
        defaults.MOBILE,
        description="The mobile ion, such as Li, Na, Ag or F; several, joined by commas, are "
        "computed one after the other, each for the crystals that hold it.",
    )
    potential: str | None = Field(
        None, description="Specification of the potential; without it, the setting 'potential'."
    )
    filters: list[AnyFilter] = Field(
        default_factory=list, description="Which of the crystals are computed, one after the other."
    )
    orderings: int = Field(
        defaults.N_ORDERINGS,
        ge=1,
        description="Orderings of each disordered crystal that are computed.",
    )
    every_copy: bool = Field(
        False, description="Compute crystals again that are the same as another one."
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of the Maker by dotted path, such as "
        "'landscape_maker.settings.grid_step_A: 0.3'; null removes an optional step.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the flow's command by the names of the function in Python, such as "
        "'step_A: 0.3'; they go before 'settings'.",
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

    @field_validator("crystals")
    @classmethod
    def _crystals(cls, found: list[Any]) -> list[Any]:
        return [Path(one) if isinstance(one, str) else one for one in found]

    @model_validator(mode="after")
    def _known(self) -> Self:
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

    @property
    def ions(self) -> "list[MobileSpecies]":
        """The mobile ions.

        Raises
        ------
        InputError
            When one is no element, or none that could be mobile.
        """
        from superionic.structures.species import parse_mobile_species

        return [parse_mobile_species(name) for name in self.mobile_species.split(",")]

    def makers(self, default_potential: str) -> "list[MaterialMaker]":
        """Return the Maker with all settings, for each of the mobile ions.

        Raises
        ------
        SettingsError
            When a setting does not exist or has a wrong value.
        """
        return [self._maker_of(ion, default_potential) for ion in self.ions]

    def maker(self, default_potential: str) -> "MaterialMaker":
        """Return the Maker of a campaign with one mobile ion, as :meth:`makers` does.

        Raises
        ------
        SettingsError
            When there are several ions, or a setting is wrong.
        """
        found = self.makers(default_potential)
        if len(found) > 1:
            raise SettingsError(
                f"The campaign has several mobile ions ({self.mobile_species}), one is needed.",
                hint="Write a campaign file for each.",
            )
        return found[0]

    def _maker_of(self, ion: "MobileSpecies", default_potential: str) -> "MaterialMaker":
        from superionic.structures.species import exclusion_radius_A

        kind = self.kind
        if unknown := sorted(set(self.options) - set(kind.option_names())):
            raise SettingsError(
                f"The flow '{self.flow}' has no option '{unknown[0]}'.",
                hint=f"Its options are {', '.join(kind.option_names()) or 'none'}.",
            )
        potential = self.potential or default_potential
        found: Any = kind.maker_class()(mobile_species=ion.element, potential=potential)
        if hasattr(found, "prior"):  # the results that it goes on from are of the site's potential
            found = dataclasses.replace(found, prior=default_potential)
        radius = "landscape_maker.settings.exclusion_radius_A"  # its default depends on the ion
        if hasattr(found, "landscape_maker") and radius not in self.settings:
            value = exclusion_radius_A(ion, self.options.get("radius_A"))
            found = _with_setting(found, radius.split("."), value, radius)
        for path, value in self.settings.items():
            found = _with_setting(found, path.split("."), value, path)
        made: MaterialMaker = found.with_options(**self.options)
        return made

    def category(self, job_name: str) -> str:
        """Return the category of a job."""
        return self.categories.get(job_name, self.categories.get("default", "cpu"))


def campaign_of(fields: Mapping[str, Any], source: str = "campaign") -> Campaign:
    """Return the campaign of some fields, checked.

    Parameters
    ----------
    fields : mapping
        Fields of :class:`Campaign` that are given.
    source : str
        How errors name it.

    Raises
    ------
    SettingsError
        When there is no such field, or a value is wrong.
    """
    try:
        return Campaign.model_validate(dict(fields))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'campaign'}: {e['msg']}" for e in error.errors()
        )
        raise SettingsError(
            f"The {source} is wrong: {faults}.",
            hint=f"Fields are {', '.join(Campaign.model_fields)}.",
        ) from None


def maker_of(flow: str, mobile: str, potential: str | None, **options: Any) -> "MaterialMaker":
    """Return the Maker of a flow with some of its options; those that are None are left out.

    Raises
    ------
    SettingsError
        When an option does not exist or has a wrong value.
    """
    given = {name: value for name, value in options.items() if value is not None}
    fields = {"flow": flow, "mobile_species": mobile, "potential": potential, "options": given}
    return campaign_of(fields).maker(get_settings().potential)


def read_campaign(path: Path) -> Campaign:
    """Read a campaign file; its relative paths start at the folder of the file.

    Raises
    ------
    SettingsError
        When it cannot be read, or holds an unknown or wrong field.
    PotentialNotAllowedError
        When it names code that this site does not allow.
    """
    content = read_yaml(path, f"The campaign file {path} cannot be read", _HINT)
    if not isinstance(content, dict):
        raise SettingsError(f"The campaign file {path} is not a mapping.", hint=_HINT)
    campaign = campaign_of({"name": path.stem, **content}, f"campaign file {path}")
    if wrong := [one for one in campaign.crystals if not isinstance(one, Path)]:
        raise SettingsError(f"The campaign file {path} is wrong: {wrong[0]!r} is no file.")
    if not campaign.crystals and campaign.best is None:
        raise SettingsError(
            f"The campaign file {path} names no crystals.", hint="Write 'crystals', or 'best'."
        )
    _require_plain(campaign, path)
    return campaign.model_copy(
        update={"crystals": [path.parent / crystal for crystal in campaign.crystals]}
    )


def _require_plain(campaign: Campaign, path: Path) -> None:
    """Refuse a campaign that names code or programs: a file is data, whoever wrote it."""
    named = {"potential": campaign.potential, **campaign.settings, **campaign.options}
    for name, value in _entries(named):
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
    fields = [field.name for field in dataclasses.fields(maker)] if is_settings(maker) else []
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
