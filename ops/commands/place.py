"""Where the data is: looking makes nothing, and whoever stands in the wrong folder is told so."""

from __future__ import annotations

from pathlib import Path

from office.base.settings import Settings, settings

DEMO = Path(".dianwu/demo")
"""Where ``make demo`` keeps its data, seen from a checkout."""


def missing(given: Settings | None = None) -> str:
    """Why there is nothing to look at, with the remedy; empty when there is (or a server's database, which says itself)."""
    given = given or settings()
    file = given.database_file
    if file is None or file.exists():
        return ""
    demo = DEMO.resolve()
    if (demo / "dianwu.db").exists() and given.home != demo:
        return f"{given.home} 里没有数据；演示的数据在 {DEMO}，请先执行：export DIANWU_HOME={DEMO}"
    return f"{file} 还不存在：请用 DIANWU_HOME 指明数据目录；新安装请执行 dianwu migrate 或 dianwu up"
