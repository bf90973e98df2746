"""Accounts at the door: which are a shop's, for whoever adds up its figures, and what a binding link is about (BND)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.security import HTTPBearer

from models.views import ShopAccountsView, TicketView
from office.base.settings import Settings
from tasks.sight.accounts import UnknownShop, UnknownTicket, shop_accounts, ticket
from webhooks.problems import MEDIA_TYPE, Problem
from webhooks.requests import Grant, RateLimit, Tokens
from webhooks.senders.platform import PROBLEM_REFERENCE

_CONTENT = {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}}
_BOTH = {422: "not the form of an id", 429: "too many requests", 503: "the database cannot be reached"}


def router(settings: Settings, limit: RateLimit) -> APIRouter:
    """Both ways of reading; the second is for whoever has the link, as their app opens it."""
    tokens, made = Tokens(settings), APIRouter()

    def known(request: Request) -> None:
        limit.check("cases", request)
        request.state.grant = tokens.check(request, "cases")

    def counted(request: Request) -> None:
        limit.check("tickets", request)

    @made.get(
        "/shops/{id}/accounts",
        summary="Every account that is a shop's now (BND-15)",
        operation_id="get_shop_accounts",
        dependencies=[Depends(known), Depends(HTTPBearer(auto_error=False))],
        responses={
            status: {"description": said, "content": _CONTENT}
            for status, said in {
                401: "no valid token",
                403: "a token without this right",
                404: "no such shop, or none of this token's",
                **_BOTH,
            }.items()
        },
    )
    def get_shop_accounts(
        request: Request, shop_id: Annotated[str, Path(alias="id", pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
    ) -> ShopAccountsView:
        grant: Grant = request.state.grant
        try:
            if grant.covers(shop_id):
                return shop_accounts(shop_id)
        except UnknownShop:
            pass
        raise Problem(404, "not-found", "There is no shop with this id.")

    @made.get(
        "/accounts/tickets/{ticket}",
        summary="What a link to become an official account is about, for whoever has it (BND-2)",
        operation_id="get_ticket",
        dependencies=[Depends(counted)],
        responses={
            status: {"description": said, "content": _CONTENT}
            for status, said in {404: "no such link", **_BOTH}.items()
        },
    )
    def get_ticket(given: Annotated[str, Path(alias="ticket", pattern=r"^[A-Za-z0-9_-]{22,64}$")]) -> TicketView:
        try:
            return ticket(given)
        except UnknownTicket:
            raise Problem(404, "not-found", "There is no such link.") from None

    return made
