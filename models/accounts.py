"""Account numbers: how they are printed and typed, what can be one, and what only shows a part of one."""

from __future__ import annotations

import re
from typing import Any

LEAST, MOST = 8, 32
"""Characters of a bank account, wherever one is judged."""
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_BLANK = r"\s\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
_BLANKS = re.compile(f"[{_BLANK}]")
"""What shows nothing between two digits: blanks of every width, joiners, soft hyphens, direction marks, fillers."""
_HYPHEN = r"\-\u2010-\u2015\u2043\u207b\u208b\u2212\u2500\u2e3a\u2e3b\ufe58\ufe63"
_HYPHENS = re.compile(f"[{_HYPHEN}]")
BETWEEN = f"[{_BLANK}{_HYPHEN}\uff0d]"
"""What may stand between two groups of digits of one account: a character class."""
_BANK = re.compile(r"[A-Z]{0,4}[0-9]+|[0-9]+(?:NRA|OSA|OSB|FT[EFINU])")
"""Digits, with the letters of a free-trade (FTE, FTN …), non-resident (NRA) or offshore (OSA) account before or after."""
_HIDDEN = re.compile(
    r"[*\u2022\u204e\u2217\u22c6\u25a0\u25cb\u25cf\u2588\u2731\ufe61\u00d7#?\u2026]|[xX_]{3}|(?<=\d)[xX_]+(?=\d)|\u5c3e\u53f7"
)


def bare(text: Any) -> Any:
    """A number without the width and the blanks it was printed or typed with; what is no text stays what it is."""
    return _BLANKS.sub("", text.translate(_WIDE)) if isinstance(text, str) else text


def bank_number(text: Any) -> Any:
    """A bank account's number as a bank takes it: without hyphens too, its letters in capitals."""
    return _HYPHENS.sub("", bare(text)).upper() if isinstance(text, str) else text


def is_bank_number(text: str) -> bool:
    """Whether a number as :func:`bank_number` gives it can be a bank account's."""
    return LEAST <= len(text) <= MOST and _BANK.fullmatch(text) is not None


def shows_a_part(text: str) -> bool:
    """Whether an account or a name is masked: ``6222****1234``, ``尾号 1234``, ``林*``. Nothing can be paid to it."""
    return _HIDDEN.search(bare(text)) is not None
