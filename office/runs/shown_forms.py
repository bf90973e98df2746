"""Forms as we wrote them into Prefect: kept to be compared with what stands there, and cleared when they were answered.

A one-time code travels in the answer to a form. It must not stay readable there longer than the judging takes: the segment
that judged an answer removes it at once, and text and choices before it ends; the sweep removes what one that died has left.

What is kept is sealed with a key that the database does not hold, and that an answer was judged is, too: whoever writes both
our database and Prefect's API makes no form that was shown another, and none that was answered forgotten.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.confirmations import ShownForm
from models.reviews import Review
from office.base.clock import clock
from office.base.db import Tx, in_transaction, prepared, reading
from office.base.vault import keyed_hash, same
from office.runs import engine

logger = logging.getLogger("dianwu.forms")

AT_ONCE = 200
"""Forms cleared in one sweep; the oldest first."""
SEGMENT = timedelta(minutes=1)
"""How long a segment may take to clear up behind itself."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def holds(form: ShownForm) -> bool:
    """Whether this is what we wrote of the form, and whether it was judged."""
    return same(form.seal, _seal(form))


def _seal(form: ShownForm) -> str:
    moments = [at and at.astimezone(UTC).isoformat() for at in (form.shown_at, form.judged_at)]
    hashes = form.description_sha256, form.schema_sha256
    return keyed_hash(f"form|{json.dumps([form.key, form.review_id, form.case_id, form.run_id, *hashes, *moments])}")


def sealed(form: ShownForm) -> ShownForm:
    """The same row, as ours from here on."""
    form.seal = _seal(form)
    return form


def note(tx: Tx, review: Review, run_id: str, key: str, description: str, schema: str) -> None:
    """Remember a form about to be shown. What was shown of this question before is passed over."""
    for before in unread(of(tx, review.id)):
        before.judged_at = clock().real()
        tx.add(sealed(before))
    tx.add(sealed(_form(review, key, run_id, digest(description), digest(schema))))


def _form(review: Review, key: str, run_id: str, *hashes: str, judged_at: datetime | None = None) -> ShownForm:
    description, schema = hashes or ("", "")
    return ShownForm(
        key=key,
        review_id=review.id,
        case_id=review.case_id,
        run_id=run_id,
        description_sha256=description,
        schema_sha256=schema,
        shown_at=clock().real(),
        judged_at=judged_at,
        cleared_at=judged_at,
    )


def of(tx: Tx, review_id: str) -> list[ShownForm]:
    """The forms shown of a question, oldest first."""
    return list(_of(tx, review_id))


@prepared
def _of(review_id: str) -> SelectOfScalar[ShownForm]:
    return select(ShownForm).where(ShownForm.review_id == review_id).order_by(col(ShownForm.shown_at))


def unread(forms: Iterable[ShownForm]) -> list[ShownForm]:
    """Those of which nobody has read yet what came back, as far as it was we who said so."""
    return [form for form in forms if form.judged_at is None or not holds(form)]


def gone(review: Review, forms: Iterable[ShownForm]) -> bool:
    """Whether the last form shown of this question is not among these, which are all that are known."""
    return review.attempt > 0 and review.form_key not in {form.key for form in forms}


def note_gone(tx: Tx, review: Review) -> None:
    """That the last form shown was taken out of our database has been told: nothing more is expected of it."""
    tx.merge(sealed(_form(review, review.form_key, "", judged_at=clock().real())))


def judged(tx: Tx, key: str, in_run: str | None = None, lay_in: str | None = None) -> None:
    """What came back to this form has been judged, or nothing came and nothing more is expected. ``in_run``: only if it was in
    this run that we showed it; anybody can write a form of the same name into another. ``lay_in``: where it was looked for."""
    form = tx.get(ShownForm, key)
    if form is not None and unread([form]) and in_run in {None, form.run_id}:
        form.judged_at, form.run_id = clock().real(), lay_in or form.run_id
        tx.add(sealed(form))


def take_out_answer(client: SyncPrefectClient, form: ShownForm) -> None:
    """Take the answer out of Prefect, if one is there."""
    _delete(client, form, "response")


def clear(client: SyncPrefectClient, form: ShownForm) -> None:
    """Take out of Prefect whatever is there of a form: the dossier and the choices, and the answer. Ours keeps them."""
    _delete(client, form, "response", "description", "schema")
    _note_cleared(form)


def clear_judged(case_id: str) -> None:
    """At the end of a segment: take out what it has answered of this case's forms, but for the answers, which went at once."""
    with reading() as tx:
        query = select(ShownForm).where(ShownForm.case_id == case_id, col(ShownForm.cleared_at).is_(None))
        judged = list(tx.exec(query.where(col(ShownForm.judged_at).is_not(None))))
        tx.expunge_all()
    for form in judged:
        try:
            _delete(engine.client(), form, "description", "schema")
        except Exception:  # what the segment did stands, however it ends; the sweep asks again
            logger.warning("%s: a judged form could not be cleared", case_id, exc_info=True)
            return
        _note_cleared(form)


def _delete(client: SyncPrefectClient, form: ShownForm, *parts: Literal["response", "description", "schema"]) -> None:
    keys = keyset_from_base_key(form.key)
    if (run_id := run_of(form)) is None:
        return
    for part in parts:
        try:
            client.delete_flow_run_input(run_id, keys[part])
        except (ObjectNotFound, PrefectHTTPStatusError) as error:
            if isinstance(error, PrefectHTTPStatusError) and error.response.status_code != httpx.codes.NOT_FOUND:
                raise


def run_of(form: ShownForm) -> UUID | None:
    """The run it was shown in; none where the row names none."""
    try:
        return UUID(form.run_id)
    except ValueError:
        return None


def _note_cleared(form: ShownForm) -> None:
    def cleared(tx: Tx) -> None:
        row = tx.get(ShownForm, form.key)
        if row is not None:
            row.cleared_at = clock().real()
            tx.add(row)

    in_transaction(cleared)


def clear_leftovers() -> int:
    """What segments that died left in Prefect; returns how many forms were cleared."""
    with reading() as tx:
        query = select(ShownForm).where(
            col(ShownForm.cleared_at).is_(None), col(ShownForm.judged_at) < clock().real() - SEGMENT
        )
        left = list(tx.exec(query.order_by(col(ShownForm.judged_at)).limit(AT_ONCE)))
        tx.expunge_all()
    for form in left:
        clear(engine.client(), form)
    return len(left)
