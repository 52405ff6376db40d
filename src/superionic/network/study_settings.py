"""The settings of a study of the force network, as a study file (YAML) holds them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from superionic.errors import SettingsError
from superionic.network.crossvalidation import FoldTask, Kind, Split
from superionic.network.settings import (
    LabelRules,
    NetworkSettings,
    PretrainingSettings,
    ShakeSettings,
    TrainingSettings,
    UnlabelledSettings,
    require,
    settings_from_dict,
    settings_to_dict,
)
from superionic.yaml_file import read_yaml

MAIN = "force network"


@dataclass(frozen=True)
class Variant:
    """A model that is compared with the main one; what is not named is as there.

    Parameters
    ----------
    name : str
        Shown in tables.
    kind : str
        The network, a variant of it, or a control.
    network, training, shakes, labels : dict
        Settings that differ.
    n_learnt : int or None
        Crystals learnt in each fold, for learning curves.
    pretrained : bool
        Start from the study's pretraining.
    unlabelled : bool
        Learn the study's crystals without a label, too, for their further targets.
    splits, seeds
        Divisions; those of the study where not named.
    """

    name: str
    kind: Kind = "network"
    network: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    shakes: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    n_learnt: int | None = None
    pretrained: bool = False
    unlabelled: bool = False
    splits: tuple[Split, ...] | None = None
    seeds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        require(
            self,
            name=bool(self.name),
            n_learnt=self.n_learnt is None or self.n_learnt >= 1,
            splits=self.splits is None or _distinct(self.splits),
            seeds=self.seeds is None or _seeds_are_right(self.seeds),
        )


@dataclass(frozen=True)
class EnsembleSettings:
    """The ensemble that is kept.

    Parameters
    ----------
    variant : str
        Name of the variant whose settings it has; its cross-validation calibrates it.
    n_members : int
        Networks, each with a seed and a validation part of its own.
    split : {"random", "chemical_system"}
        Which cross-validation calibrates; by chemical system, it is of unseen chemistry.
    """

    variant: str = MAIN
    n_members: int = 5
    split: Split = "chemical_system"

    def __post_init__(self) -> None:
        require(self, n_members=self.n_members >= 1)


@dataclass(frozen=True)
class StudySettings:
    """What a study file holds.

    Parameters
    ----------
    data : str or tuple of str
        Files of labels (JSON lines), relative to the study file; of several labels of a crystal
        the longest run counts.
    potential : str
        Specification of the potential that shakes; that of the labels.
    network, training, shakes, labels
        Settings of the main network.
    splits, seeds, n_folds
        Divisions of the main network and the controls.
    variants : tuple of Variant
        What is compared.
    ensemble : EnsembleSettings or None
        None trains no ensemble.
    pretraining : PretrainingSettings or None
        For the variants that are pretrained.
    unlabelled : UnlabelledSettings or None
        For the variants that learn such crystals.
    descriptors : str or None
        JSON lines with ``material_id`` and numbers (frozen-framework descriptors), for the kind
        ``descriptors`` and for further targets.
    floors_A2_per_ps : tuple of float
        Metrics are given for labels clipped from below at each of these.
    n_resamples : int
        Of the bootstrap.
    """

    data: str | tuple[str, ...]
    potential: str = "chgnet"
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    shakes: ShakeSettings = field(default_factory=ShakeSettings)
    labels: LabelRules = field(default_factory=LabelRules)
    splits: tuple[Split, ...] = ("random", "chemical_system")
    seeds: tuple[int, ...] = (0, 1, 2)
    n_folds: int = 5
    variants: tuple[dict[str, Any], ...] = ()
    ensemble: EnsembleSettings | None = field(default_factory=EnsembleSettings)
    pretraining: PretrainingSettings | None = None
    unlabelled: UnlabelledSettings | None = None
    descriptors: str | None = None
    floors_A2_per_ps: tuple[float, ...] = (1e-4, 0.05)
    n_resamples: int = 1000

    def __post_init__(self) -> None:
        floors = self.floors_A2_per_ps
        require(
            self,
            data=bool(self.data),
            splits=_distinct(self.splits),
            seeds=_seeds_are_right(self.seeds),
            n_folds=self.n_folds >= 2,
            floors_A2_per_ps=_distinct([_key(f) for f in floors]) and min(floors) > 0,
            n_resamples=self.n_resamples >= 0,
        )

    @property
    def label_files(self) -> tuple[str, ...]:
        """Return the files of labels."""
        return (self.data,) if isinstance(self.data, str) else self.data

    def all_variants(self) -> list[Variant]:
        """Return the main network and the variants.

        Raises
        ------
        SettingsError
            When a variant is wrong, a name is used twice, or a variant learns labels with a floor
            that no metric is given for.
        """
        found = [Variant(MAIN)]
        for number, content in enumerate(self.variants):
            found.append(settings_from_dict(Variant, content, f"variants.{number}"))
        names = [variant.name for variant in found]
        if len(set(names)) < len(names):
            raise SettingsError(
                f"Two variants have one name ({', '.join(sorted(names))}).",
                hint=f"Name each differently, and none '{MAIN}'.",
            )
        floors = [_key(floor) for floor in self.floors_A2_per_ps]
        for variant in found:
            learnt = _key(self.resolved(variant).labels.floor_A2_per_ps)
            if learnt not in floors:
                raise SettingsError(
                    f"The variant '{variant.name}' learns with labels.floor_A2_per_ps = {learnt}, "
                    f"which is none of floors_A2_per_ps ({', '.join(floors)}).",
                    hint="Metrics are given for labels clipped at those: add it to them.",
                )
            if variant.pretrained and self.pretraining is None:
                raise SettingsError(
                    f"The variant '{variant.name}' is pretrained, but there is no pretraining.",
                    hint="Add 'pretraining: {crystals: [FILE]}'.",
                )
            if variant.unlabelled and self.unlabelled is None:
                raise SettingsError(
                    f"The variant '{variant.name}' learns unlabelled crystals, but there are none.",
                    hint="Add 'unlabelled: {crystals: [FILE]}'.",
                )
        return found

    def ensemble_variant(self) -> Variant | None:
        """Return the variant that the ensemble is of; None where there is to be none.

        Raises
        ------
        SettingsError
            When there is no such variant, or it is no force network.
        """
        if self.ensemble is None:
            return None
        name = self.ensemble.variant
        networks = [variant for variant in self.all_variants() if variant.kind == "network"]
        found = next((variant for variant in networks if variant.name == name), None)
        if found is None:
            raise SettingsError(
                f"ensemble.variant cannot be '{name}': there is no force network of that name.",
                hint=f"There are: {', '.join(variant.name for variant in networks)}.",
            )
        return found

    def resolved(self, variant: Variant) -> "Resolved":
        """Return all settings of a variant."""
        return Resolved(
            variant,
            network=_changed(self.network, variant.network, variant.name),
            training=_changed(self.training, variant.training, variant.name),
            shakes=_changed(self.shakes, variant.shakes, variant.name),
            labels=_changed(self.labels, variant.labels, variant.name),
            splits=self.splits if variant.splits is None else variant.splits,
            seeds=self.seeds if variant.seeds is None else variant.seeds,
        )


@dataclass(frozen=True)
class Resolved:
    """A variant with all of its settings."""

    variant: Variant
    network: NetworkSettings
    training: TrainingSettings
    shakes: ShakeSettings
    labels: LabelRules
    splits: tuple[Split, ...]
    seeds: tuple[int, ...]

    def tasks(self, n_folds: int, pretrained: str = "", beside: str = "") -> Iterator[FoldTask]:
        """Yield the folds of all divisions.

        Parameters
        ----------
        n_folds : int
            Folds of each division.
        pretrained, beside : str
            Hashes of the weights to start from, and of the crystals learnt beside.
        """
        for split in self.splits:
            for seed in self.seeds:
                for fold in range(n_folds):
                    yield FoldTask(
                        kind=self.variant.kind,
                        split=split,
                        seed=seed,
                        fold=fold,
                        n_folds=n_folds,
                        network=self.network,
                        training=self.training,
                        shakes=self.shakes,
                        n_learnt=self.variant.n_learnt,
                        pretrained=pretrained,
                        beside=beside,
                    )


def read_study(path: Path) -> StudySettings:
    """Read a study file; its relative paths start at the folder of the file.

    Raises
    ------
    SettingsError
        When it cannot be read, or holds an unknown or wrong field.
    """
    content = read_yaml(
        path,
        f"The study file {path} cannot be read",
        "See workflows/train_force_network.yaml for an example.",
    )
    if not isinstance(content, dict) or "data" not in content:
        raise SettingsError(
            f"The study file {path} names no labels.",
            hint="Write 'data: FILE'; see workflows/train_force_network.yaml.",
        )
    study = settings_from_dict(StudySettings, content, "")
    study.all_variants()
    study.ensemble_variant()
    folder = path.parent

    def within(name: str) -> str:
        return str(folder / name)

    return replace(
        study,
        data=tuple(within(name) for name in study.label_files),
        descriptors=study.descriptors and within(study.descriptors),
        pretraining=study.pretraining and study.pretraining.with_files(within),
        unlabelled=study.unlabelled and study.unlabelled.with_files(within),
    )


def _distinct(values: Sequence[Any]) -> bool:
    """Return whether there are values, none of them twice."""
    return 0 < len(values) == len(set(values))


def _seeds_are_right(seeds: Sequence[int]) -> bool:
    return _distinct(seeds) and min(seeds) >= 0


def _key(floor_A2_per_ps: float) -> str:
    """Return a floor as metrics are found by it."""
    return f"{floor_A2_per_ps:g}"


def _changed(settings: Any, changes: dict[str, Any], where: str) -> Any:
    """Return settings with some fields replaced, checked as those of a file."""
    merged = settings_to_dict(settings) | changes
    return settings_from_dict(type(settings), merged, where)
