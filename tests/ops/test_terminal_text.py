"""What is typed into the terminal: bytes and characters that nobody can keep end in a sentence, and nothing is done."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.play import Office

Say = Callable[..., str]


@pytest.mark.parametrize("word", ["\udcb3\udcbf\udcb9\udce2", "晨\x1b[31m光", "晨\u202e光"])
def test_a_word_that_is_no_text_is_refused_wherever_it_stands(office: Office, refused: Say, word: str) -> None:
    for line in (
        ["cases", "list", "--shop", word], [word], ["cases", "show", word],
        ["inbox", "dismiss", "1", "--reason", word, "--staff", "he-qiang", "--code", "123456"],
        ["import", "billables", word],
    ):  # fmt: skip
        said = refused(*line)
        assert f"第 {line.index(word) + 1} 个词" in said and "什么都没有执行" in said
        assert said.isprintable() or "\x1b" not in said


def test_the_bytes_of_a_gbk_terminal_end_in_a_sentence_and_not_in_a_traceback() -> None:
    words = [b"cases", b"list", b"--shop", "晨光".encode("gbk")]
    start = [sys.executable.encode(), b"-X", b"utf8", b"-c", b"from ops.cli import main; main()"]
    ran = subprocess.run([*start, *words], capture_output=True, check=False)
    assert ran.returncode == 1 and b"Traceback" not in ran.stderr
    assert "第 4 个词不是 UTF-8 编码" in ran.stderr.decode()
