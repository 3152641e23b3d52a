"""How large a report is, how fast it opens, and how long a frame takes while a slider moves, in headless Chromium.

    python experiments/benchmarks/report_speed.py RESULTS ... [--repeats 5]

RESULTS are folders of jaxflow run, measure or edit, or reports (.html). Needs ``pip install '.[browser]'``, Chromium.
Prints for every report its bytes; the seconds from the request to the frame after which all is drawn, of the clock and
of the page's main thread alone, which other work on the machine does not add to; and for either slider the
milliseconds of the main thread a frame, and the frames a second of the clock. Medians over the repeats, each in a new
context, which keeps nothing of the one before.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, sync_playwright

from jaxflow import report

SIZE = {"width": 1440, "height": 1000}
FRAMES = 90
# All is drawn two frames after the page is live: what lies below the first view follows in a task of its own.
OPENED = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  while (!document.documentElement.classList.contains("live")) await frame();
  await frame();
  await new Promise((done) => setTimeout(done));
  await frame();
  await new Promise((done) => setTimeout(done));
  return performance.now();
}"""
SLIDING = """async ([name, frames]) => {
  const slider = document.getElementById(name);
  const begin = performance.now();
  for (let k = 0; k < frames; k++) {
    slider.value = k % (Number(slider.max) + 1);
    slider.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
  }
  return (performance.now() - begin) / frames;
}"""


def main_thread(session: CDPSession) -> float:
    """Seconds that the page's main thread has worked."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(own["value"] for own in metrics if own["name"] == "TaskDuration")


def measured(browser: Browser, path: Path) -> dict[str, float]:
    """One opening, and one pass of each slider that the page has."""
    context = browser.new_context(viewport=SIZE)  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = main_thread(session)
    page.goto(path.as_uri(), wait_until="commit")
    found = {"opens, s": page.evaluate(OPENED) / 1000, "opens, CPU s": main_thread(session) - before}
    for name in ("factor", "level"):
        if page.locator(f"#{name}").count():
            before = main_thread(session)
            frame = page.evaluate(SLIDING, [name, FRAMES])
            found[f"{name}, CPU ms"] = 1000 * (main_thread(session) - before) / FRAMES
            found[f"{name}, frames/s"] = 1000 / frame
    context.close()
    return found


def main() -> None:
    """Print a line for every report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        # the sandbox needs rights that a container's user does not have
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for number, results in enumerate(options.results):
            made = results.suffix == ".html"
            path = results.resolve() if made else report(results, Path(folder) / f"{number}.html")
            repeats: list[dict[str, Any]] = [measured(browser, path) for _ in range(options.repeats)]
            medians = {name: statistics.median(own[name] for own in repeats) for name in repeats[0]}
            shown = ", ".join(f"{name} {value:.3g}" for name, value in medians.items())
            print(f"{results.name}: {path.stat().st_size:,} bytes; {shown}")
        browser.close()


if __name__ == "__main__":
    main()
