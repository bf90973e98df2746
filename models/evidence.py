"""Evidence: the files that shops and staff put in, whatever case they are for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.base import Labelled, UTCDateTime, Word, code
from models.shops import Shop  # noqa: F401  (its table is what the foreign key below means)


class MediaType(Labelled):
    """What the bytes of a file say it is. Nothing else is taken; an XML only with the invoice it belongs to."""

    JPEG = "image/jpeg", "JPEG 图片"
    PNG = "image/png", "PNG 图片"
    WEBP = "image/webp", "WebP 图片"
    GIF = "image/gif", "GIF 图片"
    PDF = "application/pdf", "PDF 文件"
    MP4 = "video/mp4", "MP4 视频"
    XML = "application/xml", "XML 文件"

    @property
    def is_image(self) -> bool:
        return self.value.startswith("image/")

    @property
    def extension(self) -> str:
        return {"jpeg": "jpg"}.get(end := self.value.rpartition("/")[2], end)


class EvidenceItem(SQLModel, table=True):
    """A file a shop has put in, known by the hash of its bytes: the same bytes are the same item. Never changed."""

    __tablename__ = "evidence_item"
    __table_args__ = (UniqueConstraint("shop_id", "sha256", name="uq_evidence_item"),)

    id: str = Field(primary_key=True, sa_type=code())
    shop_id: str = Field(foreign_key="shop.id", sa_type=code())
    sha256: str = Field(sa_type=code(64))
    size: int = Field(sa_type=BigInteger)
    media_type: MediaType = Field(sa_type=Word(MediaType))
    name: str
    """The merchant's name for it, made harmless; never a path and never used as one."""
    origin: str = ""
    """``upload``, ``proof`` (by who may bring the bank's proof), ``event``, or the host it was fetched from."""
    staged_at: datetime = Field(sa_type=UTCDateTime)
