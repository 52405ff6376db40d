"""Configuration of an installation: environment variables and one YAML file.

What changes numbers (grid step, temperature, thresholds) is a field of a Maker and is stored with
every document. Here is only what belongs to a machine or a user: where things lie, how many
processes run.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_cache_path, user_config_path, user_data_path
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from superionic.errors import SettingsError
from superionic.yaml_file import read_yaml

CONFIG_FILE_VARIABLE = "SUPERIONIC_CONFIG_FILE"


def config_file() -> Path:
    """Return the path of the YAML file that is read, whether or not it exists."""
    default = user_config_path("superionic") / "superionic.yaml"
    return Path(os.environ.get(CONFIG_FILE_VARIABLE, default)).expanduser()


class SuperionicSettings(BaseSettings):
    """Settings of this installation.

    Each field is read, in this order, from an argument, the environment variable
    ``SUPERIONIC_<NAME>``, and the YAML file named by ``SUPERIONIC_CONFIG_FILE`` (default:
    ``superionic.yaml`` in the user's configuration directory).
    """

    model_config = SettingsConfigDict(env_prefix="SUPERIONIC_", extra="forbid")

    potential: str = Field("chgnet", description="Potential that is used when none is named.")
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("superionic"),
        description="Directory of the local database server and its log.",
    )
    cache_dir: Path = Field(
        default_factory=lambda: user_cache_path("superionic"),
        description="Directory of what can be computed again, such as self-check results.",
    )
    database_uri: str | None = Field(
        None,
        description="MongoDB URI of the results database; without it, and without a jobflow "
        "configuration, a local server is started.",
        repr=False,
    )
    database_name: str = Field("superionic", description="Name of the results database.")
    device: str = Field(
        "auto",
        description="Where potentials run: `cpu`, a torch device such as `cuda:1`, or `auto`, a "
        "CUDA device where there is one.",
    )
    calculators: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Modules whose ASE calculators may run when a campaign file or a queued job "
        "names them, besides the known ones: `my_module`, `ase.calculators.cp2k`. In the "
        "environment separated by commas.",
    )
    flows: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Flows of your own, besides those of the package: `my_package.my_module:NAME` "
        "of a FlowKind. In the environment separated by commas.",
    )
    workers: int = Field(
        0, ge=0, description="Worker processes; 0 means one for each physical core."
    )

    @field_validator("calculators", "flows", mode="before")
    @classmethod
    def _separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment, then the YAML file."""
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, init_kwargs=_read_config(config_file())),
        )


def _read_config(path: Path) -> dict[str, Any]:
    hint = "Write one 'name: value' a line, or remove the file."
    content = read_yaml(path, f"{path} is not a YAML mapping", hint) if path.is_file() else None
    if content is not None and not isinstance(content, dict):
        raise SettingsError(f"{path} is not a YAML mapping.", hint=hint)
    return content or {}


@lru_cache(maxsize=1)
def get_settings() -> SuperionicSettings:
    """Return the settings of this process (read once).

    Raises
    ------
    SettingsError
        When the file is not YAML or holds an unknown or wrong field. The values are not repeated in
        the message, since a URI may hold a password.
    """
    try:
        return SuperionicSettings()
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
        )
        raise SettingsError(
            f"The configuration is wrong: {faults}.",
            hint=f"Look at {config_file()} and at the environment variables SUPERIONIC_*.",
        ) from None
