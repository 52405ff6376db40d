"""Open every page of the site at the widths of a desktop and a phone, and name what does not fit.

Run ``make docs``, then ``python benchmarks/check_pages.py build/docs [--shots FOLDER]``. Needs
playwright and Chromium. Exit code 1 where a page is wider than its window, a picture is tiny, or a
script fails.
"""

import argparse
import http.server
import shutil
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

SIZES = {"desktop": (1280, 900), "phone": (375, 812)}
SMALLEST_PX = 150
FAULTS = """smallest => {
  const scrolls = e => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);
  const inside = e => {
    for (let p = e.parentElement; p; p = p.parentElement) if (scrolls(p)) return true;
  };
  const width = window.innerWidth, found = [];
  if (document.documentElement.scrollWidth > width) found.push("the page scrolls sideways");
  for (const e of document.querySelectorAll("article *"))
    if (e.getBoundingClientRect().right > width + 1 && !inside(e))
      found.push(`too wide: ${e.tagName} ${e.textContent.slice(0, 40)}`);
  for (const e of document.querySelectorAll("article img"))
    if (e.getBoundingClientRect().width < Math.min(smallest, e.naturalWidth))
      found.push(`a picture of ${Math.round(e.getBoundingClientRect().width)} px: ${e.src}`);
  return found.slice(0, 5);
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the site without a line for each request."""

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def faults_of(page: Page, address: str) -> list[str]:
    """Return what does not fit on a page."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(f"script: {error}"))
    page.goto(address)
    page.wait_for_timeout(100)
    return said + list(page.evaluate(FAULTS, SMALLEST_PX))


def main() -> int:
    """Check the site and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--shots", type=Path, help="folder for a picture of each page")
    given = parser.parse_args()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(given.site))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names = [str(path.relative_to(given.site)) for path in sorted(given.site.rglob("*.html"))]
    names = [name for name in names if not name.startswith(("_", "genindex", "search"))]
    bad = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for size, (width, height) in SIZES.items():
            for name in names:
                page = browser.new_page(viewport={"width": width, "height": height})
                found = faults_of(page, f"http://127.0.0.1:{server.server_port}/{name}")
                for fault in found:
                    print(f"{size} {name}: {fault}")
                bad += bool(found)
                if given.shots:
                    file = given.shots / f"{size}-{name.replace('/', '-')}.png"
                    page.screenshot(path=file, full_page=True)
                page.close()
        browser.close()
    print(f"{len(names)} pages, {bad} with faults")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
