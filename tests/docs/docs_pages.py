"""Fenced blocks of the pages, and how their commands are run and compared.

A comment before a block says what tests do with it: ``<!-- run -->`` runs it, ``<!-- file: NAME
-->`` writes it to a file. Lines of a ``console`` block that start with ``$`` are commands; what
follows one is what it prints.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(
    r"(?P<marks>(?:^<!-- (?:run|file: \S+) -->\n)*)^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_INDENTED = re.compile(r"(?:^ {4}\S.*\n?)+", re.MULTILINE)
_MARK = "-- end of command --"
_ANY = "..."


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    run: bool
    file: str | None

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Shown:
    """A command, and the lines that the page shows after it."""

    command: str
    output: list[str]


def page(name: str) -> Path:
    """Return the path of a page of the documentation."""
    return DOCS / name


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = path.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        file = re.search(r"file: (\S+)", match["marks"])
        found.append(
            Block(
                page=str(path.relative_to(ROOT)),
                line=text.count("\n", 0, match.start("text")),
                language=match["language"],
                text=match["text"],
                run="<!-- run -->" in match["marks"],
                file=file and file[1],
            )
        )
    return found


def shown(block: Block) -> list[Shown]:
    """Return the commands of a console block with what the page shows of their output."""
    found: list[Shown] = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append(Shown(line[2:], []))
        elif found:
            found[-1].output.append(line)
    return found


def commands(path: Path) -> Iterator[str]:
    """Yield all calls of ``superionic`` in the blocks of a page, fenced or indented."""
    text = path.read_text()
    fenced = [block.text for block in blocks(path)]
    plain = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = [match[0] for match in _INDENTED.finditer(outside)]
    for part in (*fenced, *plain, *indented):
        for line in part.replace("\\\n", " ").splitlines():
            stripped = line.strip().removeprefix("$ ")
            if stripped.startswith("superionic "):
                yield stripped


def run_page(name: str, folder: Path) -> None:
    """Run all blocks of a page that say so, in order, and compare what they print."""
    found = blocks(page(name))
    for block in found:
        if block.file is not None:
            (folder / block.file).write_text(block.text)
    to_run = [block for block in found if block.run]
    assert to_run, f"{name} has no block to run"
    for language, group in groupby(to_run, key=lambda block: block.language):
        if language == "python":
            run_python(list(group), folder)
        else:
            for block in group:
                run_console(block, folder)


def run_python(snippets: list[Block], folder: Path) -> None:
    """Run snippets one after the other in one process, each with names of its own."""
    texts = json.dumps([(block.name, block.text) for block in snippets])
    script = (
        f"import json\nfor name, text in json.loads({texts!r}):\n"
        "    exec(compile(text, name, 'exec'), {'__name__': '__main__'})\n"
    )
    finish([sys.executable, "-c", script], folder, snippets[0].name)


def run_console(block: Block, folder: Path) -> None:
    """Run the commands of a block in one shell, and compare what each prints."""
    assert block.language == "console", f"{block.name} cannot be run"
    lines = shown(block)
    script = "\n".join(f"{one.command}\necho '{_MARK}'" for one in lines)
    printed = finish(["bash", "-e", "-c", script], folder, block.name).split(f"{_MARK}\n")
    for one, text in zip(lines, printed, strict=False):
        if one.output:
            fault = difference(one.output, text.splitlines())
            assert fault is None, f"{block.name}: {one.command}\n{fault}\nIt prints:\n{text}"


def finish(command: list[str], folder: Path, name: str) -> str:
    """Run a command as somebody would who has the installation on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{name} ends with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def difference(expected: list[str], printed: list[str]) -> str | None:
    """Say where what a page shows differs from what is printed; None where it does not.

    A line ``...`` stands for any number of lines. Times (a right-aligned column ``s``) are not
    compared; other numbers may differ by 1 %, since processors round differently.
    """
    expected = without_times([line.rstrip() for line in expected])
    printed = without_times([line.rstrip() for line in printed])
    at = 0
    anywhere = False
    for line in expected:
        if line == _ANY:
            anywhere = True
            continue
        there = range(at, len(printed)) if anywhere else range(at, min(at + 1, len(printed)))
        place = next((i for i in there if alike(line, printed[i])), None)
        if place is None:
            return f"The page shows {line!r}."
        at, anywhere = place + 1, False
    if not anywhere and any(line for line in printed[at:]):
        return f"The page does not show {printed[at]!r}."
    return None


def without_times(lines: list[str]) -> list[str]:
    """Return lines with the column ``s`` of a table taken out."""
    end = None
    kept = []
    for line in lines:
        heading = re.search(r"evaluations +s(?= |$)", line)
        if heading is not None:
            end = heading.end()
        elif end is not None and line[end - 1 : end].isdigit():
            line = line[:end].rpartition(" ")[0] + line[end:]
        kept.append(line)
    return kept


def alike(one: str, other: str) -> bool:
    first, second = one.split(), other.split()
    return len(first) == len(second) and all(map(_same_word, first, second))


def _same_word(one: str, other: str) -> bool:
    try:
        first, second = float(one.strip("(),:")), float(other.strip("(),:"))
    except ValueError:
        return one == other
    return abs(first - second) <= 0.01 * max(abs(first), abs(second)) + 2e-4
