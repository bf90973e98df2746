"""Outcomes of rules that say no: a refusal is an answer with a clause and a sentence, never an error page."""

from __future__ import annotations

from models.base import Frozen


class Refusal(Frozen):
    """Why a request is not taken up. ``sentence`` is Chinese and goes to the merchant as it stands."""

    code: str
    """A stable word for programs: ``not-owner``, ``shop-closed`` …"""
    clause: str
    sentence: str
