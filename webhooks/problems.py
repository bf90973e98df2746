"""Problems: how the door says no (RFC 9457), naming the field and the remedy, never repeating a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from models.text import shortened

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20
_LONG_NUMBER = re.compile(r"\d{7,}")

TITLES = {
    "unauthorized": "身份验证失败",
    "bad-signature": "签名校验失败",
    "wrong-sender": "发送方不符",
    "forbidden": "没有权限",
    "head-too-large": "请求头过大",
    "head-too-slow": "请求头超时",
    "too-many-connections": "连接过多",
    "duplicate-header": "请求头重复",
    "bad-header": "请求头有误",
    "unsupported-media-type": "不支持的内容类型",
    "too-large": "请求体过大",
    "not-json": "请求体不是有效的 JSON",
    "unknown-type": "未知的事件类型",
    "wrong-fields": "字段有误",
    "conflict": "消息编号冲突",
    "too-many-requests": "请求过于频繁",
    "not-found": "未找到",
    "method-not-allowed": "不支持的请求方法",
    "not-ready": "服务尚未就绪",
    "bad-request": "请求有误",
    "internal": "内部错误",
}
"""Slug of a problem → its Chinese title. The ``type`` on the wire is ``/problems/<slug>``."""


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str = Field(description="JSON pointer into the body, or a parameter's name")
    expected: str
    got: str = Field(description="what came, in a few words; never an account number or a secret")
    remedy: str


class ProblemBody(BaseModel):
    """RFC 9457 problem details. ``title`` is Chinese, ``detail`` English."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []


class Problem(Exception):
    """A request refused at the door. ``slug`` is a key of :data:`TITLES`."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def response(self, instance: str) -> Response:
        """The answer; ``instance`` is the path asked for."""
        body = ProblemBody(
            type=f"/problems/{self.slug}",
            title=TITLES[self.slug],
            status=self.status,
            detail=self.detail,
            instance=instance,
            errors=self.errors,
        )
        content = json.dumps(body.model_dump(mode="json")).encode("ascii")
        return Response(content, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE)


def pointer(location: Iterable[int | str]) -> str:
    """A JSON pointer (RFC 6901). Names can be outside input: they are shortened, long numbers hidden."""
    parts = (shortened(_hidden(str(part)), 50).replace("~", "~0").replace("/", "~1") for part in location)
    return "".join(f"/{part}" for part in parts)


def _hidden(text: str) -> str:
    return _LONG_NUMBER.sub("…", text)


def describe(value: Any, *, show_text: bool = False) -> str:
    """What came, in a few words. Text is shown only where it is one word of a list or a time."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            text = repr(value)
            return text if len(text) <= 16 and not _LONG_NUMBER.search(text) else f"a number of {len(text)} characters"
        case str():
            return f'"{shortened(_hidden(value), 50)}"' if show_text else f"text of {len(value)} characters"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return f"an object of {len(value)} fields"
        case _:
            return type(value).__name__


def field_errors(error: ValidationError, under: tuple[int | str, ...] = ()) -> list[FieldError]:
    """Pydantic's findings as field errors; beyond :data:`MAX_ERRORS` their number. ``under`` is where the value sits."""
    found = error.errors(include_url=False)
    errors = [_field_error(item, under) for item in found[:MAX_ERRORS]]
    if left := len(found) - len(errors):
        errors.append(
            FieldError(
                field=pointer(under) or "/",
                expected="a body that can be read",
                got=f"{left} more errors, not listed",
                remedy="mend those listed and send again",
            )
        )
    return errors


def _field_error(item: ErrorDetails, under: tuple[int | str, ...]) -> FieldError:
    location = pointer((*under, *item["loc"])) or "/"
    context = item.get("ctx", {})
    reason = str(context.get("error", item["msg"]))
    worded = item["type"] in {"enum", "literal_error"} or reason.startswith(("an ISO 8601 time", "a time "))
    got = describe(item["input"], show_text=worded)
    match item["type"]:
        case "missing":
            return FieldError(field=location, expected="a value", got="nothing", remedy="add the field")
        case "extra_forbidden":
            return FieldError(
                field=location,
                expected="no such field",
                got=got,
                remedy="remove the field or correct its name",
            )
        case "value_error":
            # A rule between fields has the whole object as its input, which says nothing here.
            got = "otherwise" if isinstance(item["input"], (dict, BaseModel)) else got
            return FieldError(field=location, expected=reason, got=got, remedy=f"send {reason}")
        case "enum" | "literal_error":
            expected = f"one of {context.get('expected', '')}"
            return FieldError(field=location, expected=expected, got=got, remedy="send one of the listed words")
        case "string_pattern_mismatch":
            expected = f"text matching {context.get('pattern', '')}"
            return FieldError(field=location, expected=expected, got=got, remedy="send text of this form")
        case _:
            expected = item["msg"].removeprefix("Input should be ").removeprefix("Value should have ")
            return FieldError(field=location, expected=expected, got=got, remedy=f"send {expected}")
