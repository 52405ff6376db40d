"""What the models of a study learn from, crystals without a label among them."""

from dataclasses import dataclass

from studies.force_network.settings import StudySettings, UnlabelledSettings
from studies.force_network.unlabelled import read_crystals
from superionic.network.data import TrainingSet
from superionic.network.labels import Descriptors
from superionic.network.settings import LabelRules, ShakeSettings
from superionic.network.training_data import TrainingData


@dataclass
class StudyData(TrainingData):
    """What the models of a study learn from.

    Parameters
    ----------
    labels_of, potential, directory, reporter
        As for :class:`~superionic.network.training_data.TrainingData`.
    study : StudySettings
        Names the crystals.
    descriptors : mapping or None
        Where further targets come from.
    """

    study: StudySettings = None  # type: ignore[assignment]  # the fields before have defaults
    descriptors: Descriptors | None = None

    def train_only(
        self, shakes: ShakeSettings, rules: LabelRules, with_unlabelled: bool = False
    ) -> TrainingSet | None:
        """Return the crystals that are learned and never tested; None without any.

        Parameters
        ----------
        shakes, rules
            Settings.
        with_unlabelled : bool
            With those that have no label at all.
        """
        found = super().train_only(shakes, rules)
        if not with_unlabelled:
            return found
        assert self.study.unlabelled is not None, "checked when the file was read"
        labelled = self.labels_of(self.study.labels).crystals
        unlabelled = self._read(
            self.study.unlabelled,
            shakes,
            "shakes without labels",
            rules,
            {crystal.material_id for crystal in (*labelled, *self.labels_of(rules).train_only)},
        )
        return unlabelled if found is None else found.joined(unlabelled)

    def for_pretraining(self, shakes: ShakeSettings) -> TrainingSet:
        """Return the crystals of the pretraining."""
        assert self.study.pretraining is not None, "checked when the file was read"
        return self._read(self.study.pretraining, shakes, "shakes of the pretraining")

    def _read(
        self,
        settings: UnlabelledSettings,
        shakes: ShakeSettings,
        step: str,
        rules: LabelRules | None = None,
        leave_out: set[str] | None = None,
    ) -> TrainingSet:
        return read_crystals(
            settings,
            shakes,
            self.potential,
            self.directory,
            self.step_of(step),
            rules=rules,
            descriptors=self.descriptors,
            leave_out=leave_out or (),
            failed=self.leave_out,
        )
