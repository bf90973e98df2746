"""One real Chromium for all browser tests, on the stack that stands, and a place for the screenshots of the operators' guide.

Chromium is the system's. Where it is missing and we may install it, it is installed; where we may not, the tests say
so and are skipped, except under ``CI=true``, where nothing is skipped. Screenshots are only written when
``DIANWU_SCREENSHOTS=1`` is set.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from ops.rehearsal import Rehearsal
from tests.browser.faces import PATIENCE_MS, Face, V1Face, V2Face
from tests.packages import install, may_install

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
KEEP = os.environ.get("DIANWU_SCREENSHOTS") == "1"
PACKAGES = ("chromium", "fonts-noto-cjk", "fonts-noto-color-emoji")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-gpu",
    "--disable-gpu-rasterization",
    "--disable-software-rasterizer",  # else one is simulated, at half of the time
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
expect.set_options(timeout=PATIENCE_MS)  # five seconds else, in which a busy machine has drawn no page


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    """In place of the fixture that gives every test settings of its own: here the stack's settings count."""
    yield


def _chromium() -> str:
    """Where Chromium is, installed if need be and possible."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    if may_install():
        install(*PACKAGES)
        return shutil.which("chromium") or "chromium"
    why = f"Chromium is missing and only root can install it here: apt-get install {' '.join(PACKAGES)}"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For the module and no longer: while Playwright is there, an event loop runs, beside which others cannot start one."""
    path = _chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def stage(browser: Browser, standing: Callable[[], AbstractContextManager[Rehearsal]]) -> Iterator[Rehearsal]:
    """The outside world of the standing stack. It depends on the browser, so that a missing one costs no start."""
    with standing() as rehearsal:
        yield rehearsal


FACES = {"v2": V2Face, "v1": V1Face}
"""The two interfaces Prefect offers; the first is the default one."""


@pytest.fixture(scope="module")
def operators(browser: Browser) -> Iterator[dict[str, BrowserContext]]:
    """The browser of an operator in China for each interface, which has fetched that interface once."""
    contexts = {
        name: browser.new_context(
            viewport={"width": 1280, "height": 960},
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            reduced_motion="reduce",
        )
        for name in FACES
    }
    yield contexts
    for context in contexts.values():
        context.close()


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest, operators: dict[str, BrowserContext], stage: Rehearsal) -> Iterator[Face]:
    """Each of the two, or the one that a test names, in a window of its own."""
    page = operators[request.param].new_page()
    page.set_default_timeout(PATIENCE_MS)
    made: Face = FACES[request.param](page, stage.settings.prefect_ui, IMAGES if KEEP else None)
    yield made
    page.close()
