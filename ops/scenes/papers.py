"""Papers of the demonstration: sheets that can be looked at, so that whoever decides sees something beside the text."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

INK, SEAL, FAINT = "#222222", "#c0392b", "#dddddd"


def sheet(*lines: str) -> bytes:
    """A page as PDF that says it is a sample and bears these lines (no font of the machine is asked for: ASCII)."""
    page = Image.new("RGB", (420, 594), "white")
    draw = ImageDraw.Draw(page)
    for n, line in enumerate(("SAMPLE / DEMONSTRATION", *lines)):
        draw.text((40, 40 + 30 * n), line, fill=INK, font_size=20)
    for y in range(200, 420, 22):
        draw.line((40, y, 380, y), fill=FAINT, width=6)
    draw.ellipse((270, 440, 370, 540), outline=SEAL, width=5)
    made = io.BytesIO()
    page.save(made, "PDF")
    return made.getvalue()
