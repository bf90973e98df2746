"""Evidence files: what the bytes say they are, how large they may be, and a name that can do no harm."""

from __future__ import annotations

import re
import unicodedata

from models.evidence import MediaType
from models.outcomes import Refusal
from models.text import without_odd
from policies.appeal_numbers import EvidencePolicy

HEAD_BYTES = 64
"""How many bytes :func:`sniff` looks at."""
UPLOADED = [kind for kind in MediaType if kind is not MediaType.XML]
"""What may be staged. An invoice's XML comes within its event, read and limited there."""
_BRANDS = frozenset({b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"MSNV", b"dash"})
"""Major brands of MPEG-4 video; others (HEIC, AVIF, QuickTime) share the container and are not taken."""
_NAME_LIMIT = 80


def sniff(head: bytes) -> MediaType | None:
    """What the first bytes of a file say it is; ``None`` for anything that is not taken, whatever it is called."""
    if head.startswith(b"\xff\xd8\xff"):
        return MediaType.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return MediaType.PNG
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return MediaType.GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return MediaType.WEBP
    if head.startswith(b"%PDF-"):
        return MediaType.PDF
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return MediaType.MP4
    return None


def most_bytes_of_all(policy: EvidencePolicy) -> int:
    """More than this nobody needs to read: no type may be larger."""
    return max(policy.most_bytes(media) for media in UPLOADED)


def refuse_file(head: bytes, size: int, policy: EvidencePolicy) -> Refusal | None:
    """Why a file is not taken as evidence, or None."""
    if size == 0:
        return Refusal(code="empty", clause="ARB-4", sentence="文件是空的,请重新选择。")
    media = sniff(head)
    if media is None:
        words = "、".join(kind.label for kind in UPLOADED)
        return Refusal(code="wrong-type", clause="ARB-4", sentence=f"文件内容不是可接受的类型,仅支持:{words}。")
    if size > policy.most_bytes(media):
        most = policy.most_bytes(media) // 1_048_576
        return Refusal(code="too-large", clause="ARB-4", sentence=f"{media.label}不能超过 {most} MiB。")
    return None


def safe_name(name: str, media: MediaType) -> str:
    """A name for showing and saving, from whatever the sender called the file.

    No folders, no control or invisible characters, nothing a shell, a header or Windows reads as its own, and
    always exactly the one extension the bytes deserve: ``../../发票.pdf.exe`` of a JPEG is ``发票.pdf.jpg``.
    """
    last = re.split(r"[\\/]", unicodedata.normalize("NFKC", name))[-1]
    kept = "".join(
        c for c in without_odd(last, "") if unicodedata.category(c) != "Cf" and (c == " " or not c.isspace())
    )
    stem = kept.rpartition(".")[0] or kept
    stem = re.sub(r"[^\w\U00020000-\U0003FFFF.\- ()·]", "_", stem).strip(" .-_")[:_NAME_LIMIT].rstrip(" .")
    if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", stem):
        stem = f"file-{stem}"
    return f"{stem or 'evidence'}.{media.extension}"
