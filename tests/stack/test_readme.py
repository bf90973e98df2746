"""The README's five minutes, to the letter: two people decide, its own script reports the orders, the shop is closed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ops.rehearsal import Rehearsal
from ops.scenes import closing

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parent.parent.parent
READMES = ("README.md", "README.zh.md")


def script(readme: str) -> str:
    """The one Python block, which the reader saves as ``send.py``."""
    (block,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / readme).read_text(encoding="utf-8"), re.M | re.S)
    return block


def test_both_readmes_print_the_same_script() -> None:
    english, chinese = (re.sub(r"  # .*", "", script(readme)) for readme in READMES)
    assert english == chinese


def test_a_newcomer_closes_the_shop_with_what_the_readmes_print(stage: Rehearsal, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".dianwu").mkdir()
    (tmp_path / ".dianwu" / "demo").symlink_to(stage.settings.home)
    scene = closing.ClosureScene(stage)
    scene.set_up()
    case_id = stage.case_of("shop-1001", "closure")
    stage.decide(case_id, "closure-review", "li-na", "同意关店", "订单正在完结")
    stage.decide(case_id, "closure-override", "he-qiang", "确认放行", "同意")
    stage.state(case_id, "CLEARING")
    for readme in READMES:
        adapted = script(readme).replace("http://127.0.0.1:8787", stage.settings.door_url)
        assert adapted != script(readme)
        (tmp_path / "send.py").write_text(adapted, encoding="utf-8")
        done = subprocess.run(
            [".venv/bin/python", "send.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.stdout.startswith("202"), done.stdout + done.stderr
        assert stage.state(case_id, "CLOSED").outcome == "CLOSED"
