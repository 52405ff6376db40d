"""How smoothly a landscape turns under a finger, at the width of a phone.

    superionic plot landscape mp-736 --out landscape.html
    python benchmarks/turning.py landscape.html

Chromium as a phone (390 x 844 points, three pixels a point, touch), the landscape drawn by the
processor, so that a phone with a graphics chip does better. A finger goes across the crystal and
back; said are the time between two pictures, and whether the crystal has turned.
"""

import argparse
import shutil
import statistics
from pathlib import Path

_SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_WATCH = """() => {
  window.gaps = []; let last = performance.now();
  const tick = now => { window.gaps.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}"""
_EYE = """() => {
  const plot = document.querySelector(".js-plotly-plot");
  const eye = plot._fullLayout.scene._scene.getCamera().eye;
  return [eye.x, eye.y, eye.z];
}"""
_N_STEPS = 60
_STEP_MS = 16


def measure(path: Path) -> tuple[list[float], float]:
    """Return the times between pictures in ms while a finger moves, and how far the eye went."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", *_SOFTWARE_GL]
        )
        page = browser.new_context(
            viewport={"width": 390, "height": 844},
            device_scale_factor=3,
            is_mobile=True,
            has_touch=True,
            offline=True,
        ).new_page()
        page.goto(path.resolve().as_uri())
        page.wait_for_selector(".gl-container canvas", timeout=120_000)
        page.wait_for_timeout(3000)
        box = page.locator(".gl-container canvas").first.bounding_box()
        x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
        before = page.evaluate(_EYE)
        session = page.context.new_cdp_session(page)

        def touch(kind: str, *points: dict[str, float]) -> None:
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

        touch("touchStart", {"x": x, "y": y})
        page.evaluate(_WATCH)
        for step in range(_N_STEPS):
            way = min(step, _N_STEPS - step) / (_N_STEPS / 2)
            touch("touchMove", {"x": x + way * box["width"] / 2, "y": y + 40 * step / _N_STEPS})
            page.wait_for_timeout(_STEP_MS)
        gaps = page.evaluate("() => window.gaps.slice(1)")
        touch("touchEnd")
        page.wait_for_timeout(500)
        after = page.evaluate(_EYE)
        browser.close()
    return gaps, sum((a - b) ** 2 for a, b in zip(before, after, strict=True)) ** 0.5


def main() -> None:
    """Measure one figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", type=Path)
    gaps, moved = measure(parser.parse_args().figure)
    print(
        f"{len(gaps)} pictures: {statistics.median(gaps):.0f} ms between two in the median, "
        f"{sorted(gaps)[int(0.95 * len(gaps))]:.0f} ms in 95 %, at most {max(gaps):.0f} ms; "
        f"the eye has moved by {moved:.2f}"
    )


if __name__ == "__main__":
    main()
