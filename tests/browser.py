# SPDX-License-Identifier: Apache-2.0
"""Looks at HTML files in a real browser."""

import io
import pathlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.image
import numpy as np
from playwright import sync_api

WIDTHS = (1280, 400)
"""Of a desk and of a phone, in CSS pixels."""


class Browser:
    """A headless Chromium without a network.

    Raises:
        FileNotFoundError: If there is none.
    """

    def __init__(self) -> None:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        if path is None:
            raise FileNotFoundError(
                "There is no Chromium. Install Debian's package `chromium`."
            )
        self._driver = sync_api.sync_playwright().start()
        try:
            # Chromium's own sandbox does not start as root, as in containers.
            self._browser = self._driver.chromium.launch(
                executable_path=path, args=["--no-sandbox"]
            )
        except BaseException:
            self._driver.stop()
            raise

    def close(self) -> None:
        """Ends the browser."""
        self._browser.close()
        self._driver.stop()

    @contextmanager
    def page(
        self,
        file: pathlib.Path,
        width: int = WIDTHS[0],
        dark: bool = False,
        root: pathlib.Path | None = None,
    ) -> Iterator[sync_api.Page]:
        """A page of a local file.

        What the browser complains of, and every request for another place
        than `root` (default: the file's folder), fails at the end.
        """
        context = self._browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("requestfailed", lambda one: complaints.append(one.url))
        folder = (root or file.parent).resolve().as_uri()
        page.on(
            "request",
            lambda one: (
                None
                if one.url.startswith((folder, "data:"))
                else complaints.append(one.url)
            ),
        )
        try:
            page.goto(file.resolve().as_uri())
            yield page
            assert complaints == [], file
        finally:
            context.close()


def assert_fits(page: sync_api.Page) -> None:
    """Asserts that nothing sticks out to the right."""
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert width <= room, page.url


def assert_drawn(page: sync_api.Page) -> None:
    """Asserts that the page is not blank: its picture has several colours."""
    pixels = matplotlib.image.imread(io.BytesIO(page.screenshot()))
    colours = np.unique((255 * pixels[..., :3]).astype(int) @ (65536, 256, 1))
    assert len(colours) > 8, page.url
