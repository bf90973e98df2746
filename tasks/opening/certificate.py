"""企业数字证书申请表: drawn up with what was reviewed, to be printed, filled in, signed, sealed and uploaded (OPN-9)."""

from __future__ import annotations

import hashlib

from models.cases import Case
from models.opening import Part
from models.opening_told import CertificateFormDrawn
from notifications.document import render_document
from office.base.db import Tx
from office.base.settings import settings
from office.cases.cases import emit
from office.cases.merchants import shop_of
from office.record import audit
from tasks.opening import parts


def page(tx: Tx, case: Case) -> str:
    """The form as one self-contained HTML page that prints on A4; numbers of people and accounts are written in by hand."""
    shop, given = shop_of(tx, case), parts.of_case(tx, case.id)
    basics, entity = given[Part.BASICS].fields, given[Part.ENTITY].fields
    return render_document(
        "certificate",
        {
            "case_id": case.id,
            "drawn_at": tx.now,
            "shop_name": basics["name"],
            "shop_id": shop.id,
            "contact_name": basics["contact_name"],
            "licence_name": entity["licence_name"],
            "uscc": entity["uscc"],
            "legal_person": entity["legal_person"],
            "service_contact": settings().service_contact,
        },
    )


def draw(tx: Tx, case: Case) -> None:
    """Give the form to the platform, for the merchant to download; once for an application."""
    html = page(tx, case)
    digest = hashlib.sha256(html.encode()).hexdigest()
    event = CertificateFormDrawn(shop_id=case.shop_id or "", case_id=case.id, html=html, sha256=digest)
    emit(tx, event, f"{case.id}/certificate-form", case)
    audit.record(
        tx,
        case.id,
        "opening.certificate_form",
        clause="OPN-9",
        public=True,
        sha256=digest,
        text="已出具企业数字证书申请表,请下载打印、填写、签字盖章后上传",
    )
