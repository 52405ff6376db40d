"""How large a report of many materials is, and how soon a browser can use it.

    make screen
    python benchmarks/report_page.py --materials 200 --write \\
        --published docs/_static/report_220_crystals.html

Rows of the screening collection, with their documents, are repeated under new names until there
are enough; every one of them gets a section with all figures. This file, and one that is there,
are opened in Chromium without a network. Times: from the start of the navigation until something
is painted, until the table can be sorted and filtered, until all of the page is there; from a click
on the first material until its landscape is drawn, plotly.js included.
"""

import argparse
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from superionic.report.documents import MaterialDocuments
from superionic.report.html.content import Stored, gather, read_stored
from superionic.report.html.page import write_report
from superionic.store.collection.query import opened

RESULTS = Path(__file__).parent / "results"
MARKS = {
    "usable": "table can be sorted and filtered",
    "first-contentful-paint": "something is painted",
    "complete": "all of the page is there",
}
_SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def repeated(stored: Sequence[Any], n: int) -> list[dict[str, Any]]:
    """Return n stored rows, repeated under new names."""
    rows = []
    for index in range(n):
        row, turn = dict(stored[index % len(stored)]), index // len(stored)
        if turn:
            row |= {name: f"{row[name]} copy {turn}" for name in ("key", "material_id")}
        rows.append(row)
    return rows


def write(n_materials: int, out: Path) -> None:
    """Write a report in which every material has its figures."""
    with opened() as database:
        stored = read_stored(database, None, "xi")
        start = time.perf_counter()
        content = gather(
            Stored(repeated(stored.rows, n_materials)),
            lambda row: MaterialDocuments(row, database),
            top=n_materials,
        )
        write_report(content, out)
    print(
        f"{len(stored.rows)} rows repeated to {n_materials}; {len(content.sections)} sections, "
        f"written in {time.perf_counter() - start:.0f} s"
    )


def measure(path: Path, n_times: int) -> dict[str, list[float]]:
    """Return the times in s of opening a report and of drawing its first landscape."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    found: dict[str, list[float]] = defaultdict(list)
    with sync_playwright() as playwright:
        for _ in range(n_times):
            browser = playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", *_SOFTWARE_GL]
            )
            # So low that no figure is in sight: the time of plotly.js is that of the click.
            page = browser.new_page(viewport={"width": 1280, "height": 400}, offline=True)
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(path.resolve().as_uri(), wait_until="commit")
            page.wait_for_selector("html[data-ready=yes]", timeout=120_000)
            metrics = session.send("Performance.getMetrics")["metrics"]
            cpu_s = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
            found["processor time of the page until all is there"].append(cpu_s)
            page.wait_for_function("performance.getEntriesByType('paint').length > 1")
            for name, what in MARKS.items():
                script = f"performance.getEntriesByName('{name}')[0].startTime"
                found[what].append(page.evaluate(script) / 1e3)
            start = time.perf_counter()
            page.locator("#m1 > summary").click()
            page.wait_for_selector("[data-figure='m1-landscape'][data-drawn=yes]", timeout=120_000)
            found["first landscape drawn after its material is opened, plotly.js included"].append(
                time.perf_counter() - start
            )
            browser.close()
    return found


def table(sizes_MB: dict[str, float], times_s: dict[str, dict[str, list[float]]]) -> str:
    """Return sizes and times as a Markdown table, a column a file."""
    lines = [f"| | {' | '.join(sizes_MB)} |", f"| --- |{' --- |' * len(sizes_MB)}"]
    lines.append(f"| size of the file | {' | '.join(f'{s:.1f} MB' for s in sizes_MB.values())} |")
    for what in next(iter(times_s.values())):
        cells = [
            f"{statistics.median(found[what]):.2f} s "
            f"({min(found[what]):.2f} to {max(found[what]):.2f})"
            for found in times_s.values()
        ]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--materials", type=int, default=200)
    parser.add_argument("--published", type=Path, help="a report that is there")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="keep the table")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        made = Path(folder) / "report.html"
        write(asked.materials, made)
        files = {f"{asked.materials} materials, all with figures": made}
        if asked.published:
            files["the published one"] = asked.published
        sizes_MB = {name: path.stat().st_size / 1e6 for name, path in files.items()}
        times_s = {name: measure(path, asked.times) for name, path in files.items()}
    text = table(sizes_MB, times_s)
    print(text)
    if asked.write:
        (RESULTS / "report_page.md").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
