"""Who may read and say what: a token does what it was given for, and nobody speaks with another sender's voice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from models.views import CaseView
from office.base.settings import AccessToken, Settings, SettingsError
from office.cases.locks import UnknownCase
from office.files import evidence
from office.files.evidence import Staged
from tests.door.doorkit import BANK, CURRENT, NEXT, TOKENS, Door, door_of, message, stored
from webhooks.app import create_app

SHOPS = {"CLS-1": "shop-1", "CLS-2": "shop-2", "CLS-3": "dd-77", "INV-1": None}
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


def view(case_id: str) -> CaseView:
    if case_id not in SHOPS:
        raise UnknownCase(case_id)
    return CaseView(
        id=case_id, kind="closure", kind_label="关店", shop_id=SHOPS[case_id], state="REVIEW", state_label="审核中"
    )


def with_tokens(installation: Settings, **tokens: AccessToken) -> TestClient:
    given = installation.model_copy(update={"access_tokens": tokens})
    return TestClient(create_app(given, case_view=view), raise_server_exceptions=False)


def token(may: set[str], *shops: str) -> AccessToken:
    return AccessToken.model_validate(
        {"token": "a-token-of-somebody", "may": may, **({"shops": shops} if shops else {})}
    )


def read(client: TestClient, case_id: str, bearer: str = "a-token-of-somebody") -> int:
    return client.get(f"/cases/{case_id}", headers={"authorization": f"Bearer {bearer}"}).status_code


def stage(client: TestClient, shop_id: str, bearer: str = "a-token-of-somebody") -> tuple[int, str]:
    answer = client.post(
        "/evidence",
        data={"shop_id": shop_id},
        files={"file": ("a.png", PNG)},
        headers={"authorization": f"Bearer {bearer}"},
    )
    return answer.status_code, answer.json().get("detail", "")


@pytest.mark.parametrize(
    ("shops", "readable"),
    [
        ((), {"CLS-1", "CLS-2", "CLS-3", "INV-1"}),
        (("shop-1",), {"CLS-1"}),
        (("dd-*",), {"CLS-3"}),
        (("shop-1", "dd-*"), {"CLS-1", "CLS-3"}),
        (("shop-10",), set()),
        (("*-1",), {"CLS-1"}),
    ],
)
def test_a_token_reads_the_cases_of_its_shops_and_knows_nothing_of_others(
    installation: Settings, shops: tuple[str, ...], readable: set[str]
) -> None:
    client = with_tokens(installation, portal=token({"cases"}, *shops))
    assert {case_id for case_id in SHOPS if read(client, case_id) == 200} == readable
    assert {read(client, case_id) for case_id in {*SHOPS, "CLS-9"} - readable} == {404}, "not even that it exists"


def test_a_token_for_evidence_reads_no_case_and_one_for_cases_stages_nothing(installation: Settings) -> None:
    stager = with_tokens(installation, portal=token({"evidence"}, "shop-1"))
    assert read(stager, "CLS-1") == 403
    assert stage(stager, "shop-2") == (403, "This token stages nothing for this shop.")
    assert stage(stager, "shop-1")[0] == 422, "the shop is not registered, but the token would do"
    reader = with_tokens(installation, portal=token({"cases"}))
    assert stage(reader, "shop-1")[0] == 403


@pytest.mark.parametrize(("rights", "origin"), [({"evidence"}, "upload"), ({"evidence", "proof"}, "proof")])
def test_only_what_a_token_with_that_right_stages_counts_as_the_banks_proof(
    installation: Settings, rights: set[str], origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []

    def stage_it(shop_id: str, name: str, file: BinaryIO, origin: str) -> Staged:
        taken.append(origin)
        return Staged(id="EV-1", sha256="", media_type="", size=0, name=name, duplicate=False)

    monkeypatch.setattr(evidence, "stage", stage_it)
    assert stage(with_tokens(installation, portal=token(rights)), "shop-1")[0] == 201
    assert stage(with_tokens(installation), "shop-1", TOKENS[1])[0] == 201, "the platform's own token is not the bank's"
    assert taken == [origin, "upload"]


def test_the_tokens_of_the_installation_do_everything_still_and_an_unknown_one_nothing(installation: Settings) -> None:
    client = with_tokens(installation, portal=token({"cases"}, "shop-1"))
    assert {read(client, case_id, TOKENS[1]) for case_id in SHOPS} == {200}
    assert read(client, "CLS-1", "somebody-else") == 401


def test_a_right_that_does_not_exist_is_refused_when_the_settings_are_read() -> None:
    with pytest.raises(ValueError, match="may"):
        token({"everything"})


# ── who signs ────────────────────────────────────────────────────────────────

BANKS = "whsec_" + "QmFuaydzIG93biBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcw=="
SETTLED = message("payout.settled")


@pytest.fixture
def door(installation: Settings) -> Door:
    return door_of(installation.model_copy(update={"bank_secrets": [SecretStr(BANKS)]}))


@pytest.mark.parametrize("type_", ["payout.settled", "payout.failed", "payout.returned"])
def test_the_platform_cannot_speak_as_the_bank(door: Door, type_: str) -> None:
    for secret in (CURRENT, NEXT):
        answer = door.post(message(type_), secret=secret)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/wrong-sender")
    assert stored() == []
    assert door.post(message(type_), secret=BANKS).status_code == 202


def test_the_bank_cannot_speak_as_the_platform(door: Door) -> None:
    assert door.post(message("deposit.paid"), secret=BANKS).status_code == 403
    assert door.post(message("closure.requested"), secret=BANKS).status_code == 403
    assert stored() == []


def test_neither_takes_the_others_message_ids(door: Door) -> None:
    """The platform cannot have the bank's answer refused as a conflict by using its id first."""
    assert door.post(message(), message_id="bank-1").status_code == 202
    assert door.post(SETTLED, secret=BANKS, message_id="bank-1").status_code == 202
    assert [(row.source, row.conflicts) for row in stored()] == [("platform", 0), ("bank", 0)]


def test_without_a_secret_of_the_bank_a_demonstration_takes_all_from_the_platform(installation: Settings) -> None:
    assert door_of(installation).post(SETTLED).status_code == 202


@pytest.mark.parametrize(("bank", "sentence"), [([], "no bank secret"), ([CURRENT], "bank_secrets")])
def test_production_opens_only_with_a_secret_of_the_banks_own(
    installation: Settings, bank: list[str], sentence: str
) -> None:
    update = {"profile": "production", "sandbox_bank": False, "bank_secrets": [SecretStr(key) for key in bank]}
    with pytest.raises(SettingsError, match=sentence):
        create_app(installation.model_copy(update=update))


def test_the_sandbox_bank_signs_as_the_bank(installation: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from webhooks.sandbox_post import SandboxPost

    given = installation.model_copy(update={"bank_secrets": [SecretStr(BANKS)]})
    made: Callable[..., SandboxPost] = SandboxPost
    bank, platform = (made(given, lambda: 0.0, "x", name) for name in ("bank_secrets", "platform_secrets"))
    assert bank._signer.sign("m", datetime.now(UTC), "x") != platform._signer.sign("m", datetime.now(UTC), "x")
    bank.close()
    platform.close()
    assert BANK != BANKS
