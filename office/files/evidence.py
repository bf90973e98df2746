"""Evidence: staged by a shop, stored once by the hash of its bytes, named by whatever case, opened by signed links.

Files live behind fsspec (a folder in ``home``, or any bucket by setting). Nothing of the sender's is used as a
path; what a file is, its bytes say. A row is never changed, and a file whose bytes no longer fit its hash is not
given out.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.base import Frozen, new_id
from models.evidence import EvidenceItem, MediaType
from models.outcomes import Refusal
from models.shops import Shop
from office.base.db import Tx, in_transaction, prepared, reading
from office.base.settings import settings
from office.cases import links, named_papers
from office.record import audit
from policies import evidence as rules_of_evidence
from policies.evidence import HEAD_BYTES, safe_name, sniff
from policies.policy import policy_at

if TYPE_CHECKING:
    import fsspec

CHUNK = 1 << 16
PROOF = "proof"
"""Origin of what somebody staged whose token says that their files are the bank's proof: finance, or the bank itself."""


class EvidenceRefused(Exception):
    """A file that is not taken; ``refusal`` says why, in Chinese, with a stable code."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


class EvidenceDamaged(RuntimeError):
    """The stored bytes are gone or are not those that were staged."""


class Staged(Frozen):
    """What ``POST /evidence`` answers. ``duplicate``: the shop had staged these very bytes before."""

    id: str
    sha256: str
    media_type: str
    size: int
    name: str
    duplicate: bool


def refused(code: str, sentence: str) -> EvidenceRefused:
    return EvidenceRefused(Refusal(code=code, clause="ARB-4", sentence=sentence))


# ── storing ──────────────────────────────────────────────────────────────────


def _store() -> tuple[fsspec.AbstractFileSystem, str]:
    import fsspec  # who opens no file does not wait for it

    url = settings().evidence_url or str(settings().home / "evidence")
    fs, root = fsspec.core.url_to_fs(url)
    return fs, root.rstrip("/")


def _place(root: str, sha256: str) -> str:
    return f"{root}/{sha256[:2]}/{sha256}"


def _keep(file: BinaryIO, sha256: str) -> None:
    """Write the bytes under their hash, unless they are there whole. Written aside first: no half file has a hash."""
    fs, root = _store()
    place = _place(root, sha256)
    if fs.exists(place) and _digest(fs, place) == sha256:
        return
    draft = f"{root}/drafts/{uuid.uuid4().hex}"
    for target in (draft, place):
        fs.makedirs(target.rpartition("/")[0], exist_ok=True)
    try:
        file.seek(0)
        with fs.open(draft, "wb") as out:
            while chunk := file.read(CHUNK):
                out.write(chunk)
        fs.mv(draft, place)
    except BaseException:
        with suppress(FileNotFoundError):
            fs.rm(draft)
        raise


def _digest(fs: fsspec.AbstractFileSystem, place: str) -> str:
    digest = hashlib.sha256()
    with fs.open(place, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def stage(shop_id: str, name: str, file: BinaryIO, origin: str = "upload") -> Staged:
    """Take a file in for a shop. Raises :class:`EvidenceRefused` for an unknown shop or a file that is not taken.

    The same bytes again are the same item (``duplicate``); another shop's identical file is another item.
    """
    with reading() as tx:
        known, limits = tx.get(Shop, shop_id) is not None, policy_at(tx.now).appeal.evidence
    if not known:
        raise refused("unknown-shop", f"店铺 {shop_id} 尚未登记。")
    file.seek(0)
    head, size, digest = file.read(HEAD_BYTES), 0, hashlib.sha256()
    file.seek(0)
    while chunk := file.read(CHUNK):
        size += len(chunk)
        digest.update(chunk)
    media = sniff(head)
    if refusal := rules_of_evidence.refuse_file(head, size, limits):
        raise EvidenceRefused(refusal)
    if media is None:
        raise AssertionError("refuse_file lets no unknown type pass")
    sha256 = digest.hexdigest()
    _keep(file, sha256)
    try:
        return in_transaction(lambda tx: _note(tx, shop_id, sha256, size, media, safe_name(name, media), origin))
    except IntegrityError:  # the same file twice at the same moment: the second finds the first
        return in_transaction(lambda tx: _note(tx, shop_id, sha256, size, media, safe_name(name, media), origin))


def keep_xml(tx: Tx, shop_id: str, name: str, raw: bytes) -> Staged:
    """Keep an XML that came within an event, whatever it says: staged with it, in the same transaction."""
    sha256 = hashlib.sha256(raw).hexdigest()
    _keep(io.BytesIO(raw), sha256)  # first the bytes, then the row: what is rolled back leaves only a file nobody names
    return _note(tx, shop_id, sha256, len(raw), MediaType.XML, safe_name(name, MediaType.XML), "event", clause="INV-2")


def staged(tx: Tx, shop_id: str, sha256: str) -> EvidenceItem | None:
    """The shop's own file with that content. Another shop's is nothing to it."""
    return _own(tx, shop_id, sha256).first()


@prepared
def _own(shop_id: str, sha256: str) -> SelectOfScalar[EvidenceItem]:
    return select(EvidenceItem).where(EvidenceItem.shop_id == shop_id, EvidenceItem.sha256 == sha256)


def of_shop(tx: Tx, shop_id: str, ids: Iterable[str]) -> list[EvidenceItem]:
    """Of these items, the shop's own."""
    query = select(EvidenceItem).where(EvidenceItem.shop_id == shop_id, col(EvidenceItem.id).in_(list(ids)))
    return list(tx.exec(query))


def _note(
    tx: Tx, shop_id: str, sha256: str, size: int, media: MediaType, name: str, origin: str, clause: str = "ARB-4"
) -> Staged:
    item = staged(tx, shop_id, sha256)
    duplicate = item is not None
    if item is None:
        item = EvidenceItem(
            id=new_id("EV", tx.now),
            shop_id=shop_id,
            sha256=sha256,
            size=size,
            media_type=media,
            name=name,
            origin=origin,
            staged_at=tx.now,
        )
        tx.add(item)
        tx.flush()
        audit.record(
            tx,
            f"shop/{shop_id}",
            "evidence.staged",
            actor="platform",
            clause=clause,
            text=f"上传凭证 {item.id}",
            evidence=item.id,
            sha256=sha256,
            size=size,
            media=media,
        )
    elif origin == PROOF and item.origin != PROOF:  # the shop had put in the very same file: now it is vouched for
        item.origin = PROOF
        tx.add(item)
        audit.record(
            tx,
            f"shop/{shop_id}",
            "evidence.vouched",
            actor="platform",
            clause=clause,
            text=f"凭证 {item.id} 由银行或财务上传",
            evidence=item.id,
            sha256=sha256,
        )
    named_papers.file_arrived(tx, shop_id, sha256)  # also a duplicate: what had got lost may be here again
    return Staged(
        id=item.id, sha256=sha256, media_type=item.media_type.value, size=item.size, name=item.name, duplicate=duplicate
    )


# ── links ────────────────────────────────────────────────────────────────────


link = links.of_file
"""An address that opens one item until then, and only that one."""


def links_until(tx: Tx, since: datetime) -> datetime:
    """Until when links shown now are valid: the same moment for half their life, so that a dossier stays as it is."""
    life = timedelta(days=policy_at(tx.now).appeal.evidence.link_days)
    halves = max(0, (tx.now - since) // (life / 2))
    return (since + life + halves * (life / 2)).replace(microsecond=0)


def opened_by(evidence_id: str, expires: int, signature: str) -> EvidenceItem | None:
    """The item a link opens; ``None`` when the link is forged, for another item, or over."""
    if not hmac.compare_digest(links.signature(evidence_id, expires).encode(), signature.encode("utf-8", "replace")):
        return None
    with reading() as tx:
        item = tx.get(EvidenceItem, evidence_id)
        if item is None or tx.now >= datetime.fromtimestamp(expires, UTC):
            return None
        tx.expunge(item)
        return item


def present(item: EvidenceItem) -> bool:
    """Whether a file of the right size stands where the item's bytes should: cheap, for every look."""
    fs, root = _store()
    try:
        return int(fs.size(_place(root, item.sha256))) == item.size
    except FileNotFoundError:
        return False


def intact(item: EvidenceItem) -> bool:
    """Whether the bytes are those that were staged: the whole file is read."""
    fs, root = _store()
    try:
        return _digest(fs, _place(root, item.sha256)) == item.sha256
    except FileNotFoundError:
        return False


def content(item: EvidenceItem) -> Iterator[bytes]:
    """The item's bytes, read once to prove that they are still those that were staged. Raises EvidenceDamaged."""
    fs, root = _store()
    place = _place(root, item.sha256)
    try:
        found = _digest(fs, place)
    except FileNotFoundError as error:
        raise EvidenceDamaged(f"{item.id}: the stored file is gone") from error
    if found != item.sha256:
        raise EvidenceDamaged(f"{item.id}: the stored bytes are not those that were staged")

    def stream() -> Iterator[bytes]:
        with fs.open(place, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    return stream()
