"""Chromium without a window, with what the tests of pages ask of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OWN_SCHEMES = ("file:", "data:", "blob:", "chrome:")  # the last is the browser's own new tab
WIDTHS = """
const widths = () => [innerWidth, document.documentElement.scrollWidth];
requestAnimationFrame(() => requestAnimationFrame(() => arguments[0](widths())));
"""
PATIENCE, POLL = 1800, 0.05  # seconds: a busy machine draws slowly


class Browser:
    """One running browser; `driver.quit()` ends it."""

    def __init__(self, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(PATIENCE)
        self.driver.set_script_timeout(PATIENCE)
        self.shown: tuple[Path, int] | None = None  # a page and its width
        self.empty = profile.with_suffix(".html")
        self.empty.write_text("<!doctype html>")

    def open(self, page: Path, *, width: int = 1200, scheme: str = "light") -> None:
        """Show a page, and wait until it says that its figures are drawn."""
        self.shown = None
        self.driver.get(self.empty.as_uri())  # else the page before is drawn at the new size first
        self.resize(width)
        has_fingers = {"enabled": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", has_fingers)
        self.prefer(scheme)
        self.requests()
        self.errors()
        self.driver.get(page.as_uri())
        self.until(lambda: self.all("html[data-ready]"))
        self.shown = page, width

    def keep(self, page: Path, *, width: int = 1200) -> None:
        """Show a page as the test before has left it, or open it."""
        if self.shown != (page, width):
            self.open(page, width=width)

    def resize(self, width: int) -> None:
        """Give the window a width in pixels; below 500 it is that of a phone."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until it does."""
        WebDriverWait(self.driver, PATIENCE, POLL).until(lambda _: holds())

    def prefer(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def swipe(self, *, x: int, y: int, up: int) -> None:
        """Put a finger down, move it up by as many pixels, and lift it."""

        def touch(kind: str, points: list[dict[str, int]]) -> None:
            event = {"type": kind, "touchPoints": points}
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

        touch("touchStart", [{"x": x, "y": y}])
        for moved in range(20, up + 1, 20):
            touch("touchMove", [{"x": x, "y": y - moved}])
        touch("touchEnd", [])

    def run(self, script: str) -> object:
        return self.driver.execute_script(script)

    def measure(self) -> tuple[int, int]:
        """The widths of the window and of what is in it, when it is laid out anew."""
        window, page = self.driver.execute_async_script(WIDTHS)
        return window, page

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def errors(self) -> list[str]:
        """What the console has said since last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since last asked."""
        events = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
