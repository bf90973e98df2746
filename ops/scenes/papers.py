"""Papers of the demonstration: sheets that can be looked at, so that whoever decides sees something beside the text."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageDraw

INK, SEAL, FAINT = "#222222", "#c0392b", "#dddddd"
CHARACTERS = "业书仅份供发号告品商字定店张户执报收数料明样款演照申码示票营表证请账资身鉴铺"
"""What stands in ``characters.png``, in this order (Noto Sans CJK): no font of the machine is asked for."""
SIDE = 32


def sheet(*lines: str) -> bytes:
    """A page as PDF that says it is a sample and bears these lines: ASCII, and characters that are drawn here."""
    page = Image.new("RGB", (630, 891), "white")
    draw = ImageDraw.Draw(page)
    drawn = Image.open(Path(__file__).parent / "characters.png").convert("L")
    for n, line in enumerate(("样张 仅供演示", *lines)):
        across = 60
        for sign in line:
            if sign.isascii():
                draw.text((across, 61 + 50 * n), sign, fill=INK, font_size=26)
                across += round(draw.textlength(sign, font_size=26))
                continue
            start = CHARACTERS.index(sign) * SIDE
            page.paste(drawn.crop((start, 0, start + SIDE, SIDE)), (across, 60 + 50 * n))
            across += SIDE
    for y in range(300, 630, 33):
        draw.line((60, y, 570, y), fill=FAINT, width=9)
    draw.ellipse((405, 660, 555, 810), outline=SEAL, width=7)
    made = io.BytesIO()
    page.save(made, "PDF")
    return made.getvalue()
