"""Texts in Markdown that older versions kept as shown, by a reader of Markdown that knows no HTML and few links."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from desk.html import SIGNS
from office.base.settings import Settings

_CASE = re.compile(r"\b[A-Z]{2,4}-\d{6}-[0-9A-Z]{6}\b")
_FILE = re.compile(r"/evidence/([A-Za-z0-9-]{1,64})\?")
_BAR = "│ "
_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable("table")
    .disable(["image", "autolink", "html_inline", "html_block"])
)


def files(markdown: str, given: Settings) -> list[str]:
    """The ids of the files that a dossier leads to, in its order."""
    children = (child for token in _MARKDOWN.parse(markdown) for child in token.children or [])
    found = (_FILE.search(str(child.attrGet("href") or "")) for child in children if child.type == "link_open")
    return list(dict.fromkeys(one[1] for one in found if one and one.string.startswith(f"{given.public}/")))


def sections(markdown: str, given: Settings) -> list[tuple[str, Markup]]:
    """What stands under each heading, with its title; the dossier's own title is the page's business."""
    found: list[tuple[str, list[Token]]] = [("", [])]
    tokens = iter(_MARKDOWN.parse(markdown))
    for token in tokens:
        if token.type == "heading_open":
            title = next(tokens)
            next(tokens)
            found.append((_text(title) if token.tag == "h4" else "", []))
        else:
            body = found[-1][1]
            body.append(_cleaned(token, given))
            if token.meta.get("quoted") and body[-2].type == "paragraph_open":
                body[-2].attrSet("class", "quote")
    return [
        (title, Markup(_MARKDOWN.renderer.render(body, _MARKDOWN.options, {})))  # noqa: S704
        for title, body in found
        if body
    ]


def _text(token: Token) -> str:
    return "".join(child.content for child in token.children or [])


def _cleaned(token: Token, given: Settings) -> Token:
    """Links lead to our own pages and files only; a bar before somebody's words is the page's to draw."""
    children = token.children or []
    for at, child in enumerate(children):
        if child.type == "link_open":
            words = next((one.content for one in children[at:] if one.type == "text"), "")
            child.attrs = _link(str(child.attrGet("href") or ""), words, given)
        elif child.type == "text":
            token.meta["quoted"] = token.meta.get("quoted") or child.content.startswith(_BAR)
            child.content = child.content.removeprefix(_BAR).translate(SIGNS)
    return token


def _link(href: str, words: str, given: Settings) -> dict[str, str | int | float]:
    if case := _CASE.search(words):
        return {"href": f"/c/{case[0]}"}
    ours = {urlsplit(address).netloc for address in (given.public, given.prefect_ui)}
    if urlsplit(href).scheme in {"http", "https"} and urlsplit(href).netloc in ours:
        return {"href": href, "target": "_blank", "rel": "noopener"}
    return {}
