"""In which encoding a file of items is written, and whether its words are still what somebody wrote.

UTF-8 proves itself: bytes of another encoding are hardly ever valid in it. GBK (read as GB 18030, which holds it) proves
nothing: Big5, Shift-JIS and most others can be read as GBK, into characters nobody uses. So what is read as GBK has to be
written mostly in common characters, each cell and the file as a whole, and no cell may be far likelier a word in Big5 or
KOI8-R, by how often each character is used (:mod:`office.items.readings`); who writes in others saves the file as UTF-8.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from models.text import shortened
from office.items.readings import accented, reading

MOST_LINE = 1 << 16
_REMEMBERED, _SHORT = 1 << 16, 256
"""How many different cells, and up to how many bytes each, are remembered as judged."""
_PIECE = re.compile(rb"[^\x00-\x7f][^\r\n\t\",]*")
"""From the first byte that is not ASCII to the end of its cell: no character of GBK holds one of these signs."""
_COMMON = frozenset(
    "".join(
        bytes((lead, trail)).decode("gb18030", "ignore")
        for lead in (*range(0xA1, 0xA4), *range(0xB0, 0xF8))
        for trail in range(0xA1, 0xFF)
    )
)
"""What nearly all Chinese is written with: the characters of GB 2312, its punctuation, full-width signs."""
_HANGUL = frozenset(bytes((lead, trail)).decode("gb18030") for lead in range(0xB0, 0xC9) for trail in range(0xA1, 0xFF))
"""What syllables of EUC-KR look like in GBK: common characters, but none that is read later in the alphabet than ``r``."""
ENOUGH = 12
"""So many different characters of Chinese are hardly ever all among those."""
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_UTF8 = codecs.getincrementaldecoder("utf-8")


class UnreadableFile(ValueError):
    """The whole file cannot be read; ``str`` is the Chinese sentence."""


def encoding_of(path: Path) -> tuple[str, int]:
    """The one encoding in which the whole file is written, and roughly how many lines it has."""
    decoder, lines, encoding = codecs.getincrementaldecoder("utf-8-sig")("strict"), 0, "utf-8-sig"
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                if b"\x00" in block:
                    raise UnreadableFile("文件含有空字符,不是文本文件,请另存为 UTF-8 或 GBK 编码的 CSV")
                lines += block.count(b"\n")
                if encoding == "utf-8-sig":
                    try:
                        decoder.decode(block)
                    except UnicodeDecodeError:
                        encoding = "gb18030"
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        encoding = "gb18030"
    if encoding == "gb18030":
        _only_gbk(path)
    return encoding, lines


def _only_gbk(path: Path) -> None:
    """Refuse a file in which some cells are UTF-8 and others GBK, or that reads as GBK only into odd characters.

    Text in GBK can be valid UTF-8 by chance, but not with a character of three bytes in it, as Chinese has.
    """
    utf8, gbk = 0, 0
    read, seen = set[bytes](), dict[str, int]()
    with path.open("rb") as file:
        for number, line in _lines(file):
            for piece in _PIECE.findall(line):
                if piece in read:
                    continue
                if len(read) == _REMEMBERED:
                    read.clear()  # what comes again is judged again
                if len(piece) <= _SHORT:
                    read.add(piece)
                try:
                    if max(piece.decode("utf-8")) >= "\u0800":
                        utf8 = utf8 or number
                        continue
                except UnicodeDecodeError:
                    pass
                try:
                    text = piece.decode("gb18030")
                except UnicodeDecodeError:
                    raise _neither(number) from None
                gbk = gbk or number
                if not _chinese(text):
                    raise _foreign(number, text)
                if likelier := reading(piece, text):
                    raise _foreign(number, text, *likelier)
                for character in text:
                    seen.setdefault(character, number)
            if word := accented(line):
                raise _foreign(number, word[0], "Latin-1", word[1])
            if utf8 and gbk:
                raise UnreadableFile(
                    f"文件混有两种编码:第 {utf8} 行是 UTF-8,第 {gbk} 行是 GBK。请把整个文件统一为一种编码后再导入"
                )
    wide = {character: number for character, number in seen.items() if not character.isascii()}
    odd = {character: number for character, number in wide.items() if not _is_common(character)}
    if 3 * len(odd) > len(wide):
        raise _foreign(min(odd.values()), "".join(odd))
    if len(wide) >= ENOUGH and _HANGUL.issuperset(wide):
        raise _foreign(min(wide.values()), "".join(wide))


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each line with its number. One that is too long to be read later needs to be GBK, and no more is asked of it."""
    number = 0
    while line := file.readline(MOST_LINE):
        number += 1
        if len(line) < MOST_LINE or line.endswith(b"\n"):
            yield number, line
            continue
        decoder = codecs.getincrementaldecoder("gb18030")("strict")
        try:
            while len(line) == MOST_LINE and not line.endswith(b"\n"):
                decoder.decode(line)
                line = file.readline(MOST_LINE)
            decoder.decode(line, final=True)
        except UnicodeDecodeError:
            raise _neither(number) from None


def _neither(number: int) -> UnreadableFile:
    return UnreadableFile(f"文件第 {number} 行既不是 UTF-8 也不是 GBK 编码,请另存为其中一种")


def _foreign(number: int, text: str, encoding: str = "", meant: str = "") -> UnreadableFile:
    why = f"按 {encoding} 则是「{shortened(meant, 24)}」" if encoding else "不像中文"
    return UnreadableFile(
        f"文件第 {number} 行按 GBK 读出的是「{shortened(text, 24)}」,{why},文件可能是 "
        f"{encoding or 'Big5、Shift-JIS、EUC-KR 等其他'} 编码。"
        "请用写出它的程序打开,另存为 UTF-8 编码的 CSV 后再导入"
    )


def _is_common(character: str) -> bool:
    """Also what takes four bytes: nothing but GB 18030 writes those."""
    return character.isascii() or character in _COMMON or len(character.encode("gb18030")) == 4


def _chinese(text: str) -> bool:
    """Whether a cell that was read as GBK is written mostly in common characters; one other proves nothing."""
    wide = [character for character in text if not character.isascii()]
    odd = sum(not _is_common(character) for character in wide)
    return not _PRIVATE.search(text) and odd <= max(1, (len(wide) - 1) // 2)


def damaged(text: str) -> bool:
    """Whether the words were lost before the file was written.

    Replacement marks are in their place, also as GBK shows those, or they are UTF-8 that a program took for GBK or Latin.
    """
    if text.isascii():
        return False
    return "\ufffd" in text or "锟斤拷" in text or any(map(_misread, text.split("?")))


def _misread(text: str) -> bool:
    for taken_for in ("gb18030", "cp1252"):
        try:
            meant = _UTF8("strict").decode(text.encode(taken_for))  # its end may have been cut
        except UnicodeError:
            continue
        if sum(character >= "\u0800" for character in meant) > 1:
            return True
    return False
