"""A page of a hostile file as a picture: run as a process of its own, which may use little and is believed nothing but that.

``python -m desk.render SOURCE MEDIA_TYPE PAGE WIDTH TARGET`` writes a WebP without metadata and prints how many pages there are.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

CPU_SECONDS = 10
MEMORY = 1 << 30
"""Bytes of address space, of which the libraries' own code takes a good part."""
WRITTEN = 8 << 20
MOST_PIXELS = 60_000_000
MOST_PAGES = 200


def limit() -> None:
    """From here on this process cannot take more than a picture needs."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def render(source: Path, media_type: str, page: int, width: int, target: Path) -> int:
    """Write the page at this width, or smaller where the original is; returns how many pages there are."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    pages = 1
    if media_type == "application/pdf":
        import pypdfium2

        document = pypdfium2.PdfDocument(source)
        pages = len(document)
        if not 1 <= page <= min(pages, MOST_PAGES):
            raise ValueError(f"page {page} of {pages}")
        found = document[page - 1]
        across, down = found.get_size()
        scale = min(width / max(across, 1), (MOST_PIXELS / max(across * down, 1)) ** 0.5)
        picture = found.render(scale=scale).to_pil()
    else:
        if page != 1:
            raise ValueError("a picture has one page")
        with Image.open(source, formats=("JPEG", "PNG", "WEBP", "GIF")) as original:
            if original.width * original.height > MOST_PIXELS:
                raise ValueError("too many pixels")
            original.draft("RGB", (width, width * 4))
            picture = ImageOps.exif_transpose(original).convert("RGB")
    picture = picture.convert("RGB")
    if picture.width > width:
        picture.thumbnail((width, width * 20))
    picture.save(target, "WEBP", quality=80, method=2)  # a new picture: nothing of the original's metadata goes along
    return pages


if __name__ == "__main__":
    from PIL import Image as _before_the_limit  # noqa: F401 - its code is loaded while there is room for it

    limit()
    given, kind, number, wide, made = sys.argv[1:]
    print(render(Path(given), kind, int(number), int(wide), Path(made)))  # noqa: T201
