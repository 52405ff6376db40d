"""From crystals and a teacher to a student with its card."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from superionic.distillation.dataset import Frame, read_frames, teacher_of
from superionic.distillation.frames import Crystal, FrameSettings, make_frames
from superionic.distillation.quality import Errors, errors_of, evaluate, kind_of, table
from superionic.distillation.student import load_student
from superionic.distillation.training import StudentSettings, split, train_student
from superionic.errors import SettingsError, SuperionicError
from superionic.files import write_whole
from superionic.potentials.base import Potential, PotentialInfo
from superionic.potentials.registry import load_potential

CARD_JSON: Final = "card.json"
CARD: Final = "card.md"
FRAMES: Final = "frames"


@dataclass(frozen=True)
class DistillSettings:
    """All settings of a distillation.

    Parameters
    ----------
    frames : FrameSettings
        Which frames are made.
    student : StudentSettings
        How the student is taught.
    licence : str
        What the teacher's weights and the crystals allow; the card repeats it.
    """

    frames: FrameSettings = field(default_factory=FrameSettings)
    student: StudentSettings = field(default_factory=StudentSettings)
    licence: str = ""


@dataclass(frozen=True)
class Distilled:
    """A student and what is known of it.

    Parameters
    ----------
    checkpoint : Path
        Its weights; ``chgnet:CHECKPOINT`` is its specification.
    card : dict
        What ``card.json`` holds.
    """

    checkpoint: Path
    card: dict[str, Any]


def distill(
    crystals: Iterable[Crystal],
    teacher: str | None,
    directory: Path,
    settings: DistillSettings | None = None,
    *,
    explorer: str = "chgnet",
    earlier: Sequence[Path] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Distilled:
    """Make frames, teach a student, and write its card; whatever ends it, it goes on from there.

    Parameters
    ----------
    crystals : iterable of Crystal
        Crystals to learn from.
    teacher : str or None
        Specification of the potential that labels; without it no frames are made.
    directory : Path
        Of all results.
    settings : DistillSettings, optional
        Defaults when left out.
    explorer : str
        Specification of the potential that drives dynamics: the first round's student in a second.
    earlier : sequence of Path
        Files or folders of frames that are there already, and are learned together with these.
    say : callable
        Hears how it goes on.

    Raises
    ------
    TrainingError
        When no frame is left, nothing to learn, or frames have different teachers.
    """
    settings = settings or DistillSettings()
    files: list[Path] = []
    failed: dict[str, str] = {}
    walker: Potential | None = None
    if teacher is not None:
        master, walker = load_potential(teacher), load_potential(explorer)
        files, failed = make_frames(
            crystals, master, walker, directory / FRAMES, settings.frames, say
        )
    paths = [*earlier, *files]
    known = teacher_of(paths)
    frames = read_frames(paths)
    taught = train_student(frames, directory / "training", settings.student, say)
    card = _card(frames, failed, taught.path, known, settings) | {
        "best_epoch": taught.best_epoch,
        "explorer": asdict(walker.info) if walker else None,
    }
    write_whole(directory / CARD_JSON, json.dumps(card, indent=1) + "\n")
    write_whole(directory / CARD, card_text(card))
    return Distilled(taught.path, card)


def settings_of(values: dict[str, Any]) -> DistillSettings:
    """Return settings from those of a campaign file, such as ``student.epochs``.

    Raises
    ------
    SettingsError
        Naming what is not known or of the wrong type.
    """
    parts: dict[str, dict[str, Any]] = {"frames": {}, "student": {}}
    whole: dict[str, Any] = {}
    defaults = {"frames": asdict(FrameSettings()), "student": asdict(StudentSettings())}
    for name, value in values.items():
        part, _, inner = name.partition(".")
        if name == "licence":
            whole["licence"] = str(value)
        elif part in parts and inner in defaults[part]:
            default = defaults[part][inner]
            wanted: type = float if isinstance(default, float) else type(default)
            try:
                numbers = wanted is tuple and isinstance(value, list)
                right = tuple(float(one) for one in value) if numbers else wanted(value)
            except (TypeError, ValueError) as error:
                raise SettingsError(f"The setting {name} cannot be {value!r} ({error}).") from None
            parts[part][inner] = right
        else:
            known = [f"{key}.{one}" for key, found in defaults.items() for one in found]
            raise SettingsError(
                f"There is no setting {name!r} of a distillation.",
                hint=f"There are licence, {', '.join(known)}.",
            )
    return DistillSettings(
        FrameSettings(**parts["frames"]), StudentSettings(**parts["student"]), **whole
    )


def _card(
    frames: list[Frame],
    failed: dict[str, str],
    checkpoint: Path,
    teacher: dict[str, Any] | None,
    settings: DistillSettings,
) -> dict[str, Any]:
    parts = split(frames, settings.student.seed)
    unseen = parts["validation"] + parts["test"]
    columns: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, start in (("start", settings.student.start), ("student", str(checkpoint))):
        model = load_student(start).requires_grad_(False).eval()
        found = evaluate(model, unseen)
        groups = {"family": lambda one: one.family, "kind": kind_of, "all": lambda one: "all"}
        columns[name] = {
            by: [row.to_dict() for row in errors_of(unseen, found, group)]
            for by, group in groups.items()
        }
    try:
        info: PotentialInfo | None = load_potential(f"chgnet:{checkpoint}").info
        self_check = "passed"
    except SuperionicError as error:
        info, self_check = None, str(error)
    return {
        "format": 1,
        "student": asdict(info) if info else None,
        "teacher": teacher,
        "licence": settings.licence,
        "self_check": self_check,
        "n_frames": {name: len(found) for name, found in parts.items()},
        "n_systems": {name: len({one.system for one in found}) for name, found in parts.items()},
        "frames_by_kind": dict(Counter(kind_of(one) for one in frames)),
        "frames_by_family": dict(Counter(one.family for one in frames)),
        "failed": failed,
        "settings": asdict(settings),
        "errors_unseen": columns,
    }


def card_text(card: dict[str, Any]) -> str:
    """Return a card as Markdown."""
    by = "a potential that its frames do not name"
    if teacher := card["teacher"]:
        by = (
            f"{teacher['family']}:{teacher['name']} ({teacher['package_version']}, "
            f"SHA-256 `{teacher['weights_sha256'][:16]}`)"
        )
    parts = ", ".join(
        f"{name}: {n} frames of {card['n_systems'][name]} chemical systems"
        for name, n in card["n_frames"].items()
    )
    kinds = ", ".join(f"{n} {kind}" for kind, n in card["frames_by_kind"].items())
    lines = [
        "# Card of a student",
        "",
        f"CHGNet's architecture, taught by {by}.",
        "",
        f"- Frames: {parts}. Kinds: {kinds}.",
        f"- Crystals without frames: {len(card['failed'])}.",
        f"- Licences of teacher and crystals: {card['licence'] or 'not stated by who trained it'}.",
        f"- Self-check: {card['self_check']}.",
        "- Not good for: elements and kinds of bonding that the frames do not hold, magnetic "
        "moments (not taught), and whatever the teacher is not good for.",
        "",
        "Errors against the teacher on chemical systems that were not learned (validation, which "
        "chose the epoch, and test together); 'start' is the network before it was taught.",
        "",
    ]
    for group in ("all", "family", "kind"):
        columns = {
            name: [Errors(**row) for row in found[group]]
            for name, found in card["errors_unseen"].items()
        }
        if columns["student"]:
            lines += [table(group, columns)]
        elif group == "all":
            lines += ["No chemical system was left out: nothing is known of its errors.", ""]
    return "\n".join(lines)
