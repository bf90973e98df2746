"""What a question shows, as a person reads it: its Markdown without the marks that keep words from being markup."""

from __future__ import annotations

import re

from models.reviews import Review
from office.cases.markdown import markdown

_ESCAPED = re.compile(r"\\([^\w\s])")


def read(review: Review) -> str:
    """The text of a question's dossier; its own strong words stand between ``**``, links as Markdown has them."""
    text = markdown(review.dossier).replace("\u2060", "")
    return _ESCAPED.sub(r"\1", text)
