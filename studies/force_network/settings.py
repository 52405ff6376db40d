"""The settings of a study of the force network, as a study file (YAML) holds them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from studies.force_network.kinds import Kind
from superionic.errors import SettingsError
from superionic.network.crossvalidation import FoldTask, Split
from superionic.network.ensemble import EnsembleSettings
from superionic.network.settings import (
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    TrainingSettings,
    require,
    settings_from_dict,
    settings_to_dict,
)
from superionic.network.train import (
    MAIN,
    TrainSettings,
    are_distinct,
    read_train_content,
    seeds_are_right,
)


@dataclass(frozen=True)
class UnlabelledSettings:
    """Crystals without a label that are learned beside the others, for their further targets.

    Parameters
    ----------
    crystals : tuple of str
        Files of crystals, as 'superionic screen' reads them, relative to the study file.
    mobile_species : str
        The mobile ion; crystals without it are left out.
    n_shakes : int
        Shakes of each crystal; amplitude and seed are those of the labelled crystals.
    max_atoms : int
        Crystals with a larger supercell are left out.
    """

    crystals: tuple[str, ...]
    mobile_species: str = "Li"
    n_shakes: int = 4
    max_atoms: int = 100

    def __post_init__(self) -> None:
        require(
            self,
            crystals=bool(self.crystals),
            n_shakes=self.n_shakes >= 1,
            max_atoms=self.max_atoms >= 1,
        )

    def with_files(self, change: Callable[[str], str]) -> Self:
        """Return the same with other names of the files of crystals."""
        return replace(self, crystals=tuple(change(name) for name in self.crystals))


@dataclass(frozen=True)
class PretrainingSettings(UnlabelledSettings):
    """Training on atoms before training on labels; it needs crystals and forces, no dynamics.

    From the accelerations the network learns, for each atom, the logarithm of its mass and whether
    it is of the mobile species. At inference it sees neither.

    Parameters
    ----------
    crystals, mobile_species, n_shakes, max_atoms
        As in :class:`UnlabelledSettings`.
    epochs : int
        Passes over the crystals, one shake each.
    learning_rate, batch_size, seed
        As in :class:`TrainingSettings`.
    """

    epochs: int = 30
    learning_rate: float = 3e-3
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self,
            epochs=self.epochs >= 1,
            learning_rate=self.learning_rate > 0,
            batch_size=self.batch_size >= 1,
            seed=self.seed >= 0,
        )


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
        Crystals learned in each fold, for learning curves.
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
            splits=self.splits is None or are_distinct(self.splits),
            seeds=self.seeds is None or seeds_are_right(self.seeds),
        )


@dataclass(frozen=True)
class VariantEnsemble(EnsembleSettings):
    """The ensemble that is kept.

    Parameters
    ----------
    n_members, split
        As for :class:`~superionic.network.ensemble.EnsembleSettings`.
    variant : str
        Name of the variant whose settings it has; its cross-validation calibrates it.
    """

    variant: str = MAIN


@dataclass(frozen=True)
class StudySettings(TrainSettings):
    """What a study file holds.

    Parameters
    ----------
    data, potential, network, training, shakes, labels, splits, seeds, n_folds, n_resamples
        As for :class:`~superionic.network.train.TrainSettings`; of the main network, and where a
        variant names nothing else.
    ensemble : VariantEnsemble or None
        None trains no ensemble.
    variants : tuple of Variant
        What is compared.
    pretraining : PretrainingSettings or None
        For the variants that are pretrained.
    unlabelled : UnlabelledSettings or None
        For the variants that learn such crystals.
    descriptors : str or None
        JSON lines with ``material_id`` and numbers (frozen-framework descriptors), for the kind
        ``descriptors`` and for further targets.
    floors_A2_per_ps : tuple of float
        Metrics are given for labels clipped from below at each of these.
    """

    ensemble: VariantEnsemble | None = field(default_factory=VariantEnsemble)
    variants: tuple[dict[str, Any], ...] = ()
    pretraining: PretrainingSettings | None = None
    unlabelled: UnlabelledSettings | None = None
    descriptors: str | None = None
    floors_A2_per_ps: tuple[float, ...] = (1e-4, 0.05)

    def __post_init__(self) -> None:
        super().__post_init__()
        floors = self.floors_A2_per_ps
        require(self, floors_A2_per_ps=are_distinct([_key(f) for f in floors]) and min(floors) > 0)

    def with_files(self, change: Callable[[str], str]) -> Self:
        """Return the same with other names of its files."""
        return replace(
            super().with_files(change),
            descriptors=self.descriptors and change(self.descriptors),
            pretraining=self.pretraining and self.pretraining.with_files(change),
            unlabelled=self.unlabelled and self.unlabelled.with_files(change),
        )

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
            learned = _key(self.resolved(variant).labels.floor_A2_per_ps)
            if learned not in floors:
                raise SettingsError(
                    f"The variant '{variant.name}' learns with labels.floor_A2_per_ps = {learned}, "
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

    def tasks(self, n_folds: int, pretrained: str = "", train_only: str = "") -> Iterator[FoldTask]:
        """Yield the folds of all divisions.

        Parameters
        ----------
        n_folds : int
            Folds of each division.
        pretrained, train_only : str
            Hashes of the weights to start from, and of the crystals learned beside.
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
                        train_only=train_only,
                    )


def read_study(path: Path) -> StudySettings:
    """Read a study file; its relative paths start at the folder of the file.

    Raises
    ------
    SettingsError
        When it cannot be read, or holds an unknown or wrong field.
    """
    study = settings_from_dict(StudySettings, read_train_content(path), "")
    study.all_variants()
    study.ensemble_variant()
    return study.with_files(lambda name: str(path.parent / name))


def _key(floor_A2_per_ps: float) -> str:
    """Return a floor as metrics are found by it."""
    return f"{floor_A2_per_ps:g}"


def _changed(settings: Any, changes: dict[str, Any], where: str) -> Any:
    """Return settings with some fields replaced, checked as those of a file."""
    merged = settings_to_dict(settings) | changes
    return settings_from_dict(type(settings), merged, where)
