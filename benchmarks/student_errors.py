"""Errors of students and of CHGNet 0.3.0 against their teacher, on chemical systems not learned.

    python benchmarks/student_errors.py FRAMES.npz [STUDENT.pt ...] [--out FILE]

FRAMES is ``datasets/frames_nequix_oam_1.npz`` or a folder of ``superionic distill``. Prints, for
CHGNet 0.3.0 and each student, root mean square and mean error of forces, the slope of their forces
against the teacher's and errors of energies along a crystal's frames: of all frames, by family of
crystals and by kind of frame. The frames are those of the validation and test parts of ``--seed``;
``--part test`` takes the test part alone, which no choice of an epoch has seen.
"""

import argparse
from pathlib import Path

from superionic.distillation.dataset import read_frames
from superionic.distillation.quality import errors_of, evaluate, kind_of, table
from superionic.distillation.student import load_student
from superionic.distillation.training import split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("frames", type=Path, help="a packed file, or a folder of frames")
    parser.add_argument("students", nargs="*", help="checkpoints")
    parser.add_argument("--part", choices=("unseen", "validation", "test"), default="unseen")
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument("--out", type=Path, help="also write the tables there")
    asked = parser.parse_args()
    parts = split(read_frames([asked.frames]), asked.seed)
    unseen = parts["validation"] + parts["test"]
    frames = unseen if asked.part == "unseen" else parts[asked.part]
    columns = {}
    for name in ("0.3.0", *asked.students):
        title = "CHGNet 0.3.0" if name == "0.3.0" else Path(name).stem
        columns[title] = evaluate(load_student(name).requires_grad_(False).eval(), frames)
    text = "\n".join(
        table(title, {name: errors_of(frames, found, by) for name, found in columns.items()})
        for title, by in (
            ("all", lambda frame: "all"),
            ("family", lambda frame: frame.family),
            ("kind", kind_of),
        )
    )
    print(text, end="")
    if asked.out:
        asked.out.write_text(text)


if __name__ == "__main__":
    main()
