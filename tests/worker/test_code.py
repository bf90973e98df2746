"""What runs next is the code on disk, and code that is slow to get warm keeps nobody else waiting."""

from __future__ import annotations

import pytest

from tests.worker.conftest import SLOW_POLL

pytestmark = pytest.mark.engine


def test_code_deployed_anew_is_what_runs_next(bench):
    flow = """
        @flow
        def versioned():
            note("{version}")
    """
    bench.write("flows/versioned.py", flow.format(version="old"))
    deployment = bench.deploy("flows/versioned.py:versioned")
    bench.work(**SLOW_POLL)
    bench.reaches(bench.submit(deployment), "Completed")
    bench.write("flows/versioned.py", flow.format(version="new"))
    bench.reaches(bench.submit(deployment), "Completed")
    bench.write("other/versioned.py", flow.format(version="newest"))
    moved = bench.deploy("other/versioned.py:versioned")  # same name: the deployment now points elsewhere
    assert moved == deployment
    bench.until(lambda: bench.reaches(bench.submit(deployment), "Completed") and "newest" in bench.lines())
    assert bench.lines()[:2] == ["old", "new"]


def test_a_module_imported_late_and_files_of_data_are_what_is_on_disk(bench):
    bench.write(
        "rules/table.py",
        """
        from functools import cache

        RATE = "old rate"

        @cache
        def versions():
            return [file.read_text() for file in sorted((Path(__file__).parent / "versions").iterdir())]
    """,
    )
    bench.write(
        "flows/late.py",
        """
        @flow
        def late():
            from rules.table import RATE, versions

            note(f"{RATE} {versions()}")
    """,
    )
    (bench.code / "rules" / "versions").mkdir()
    first, table = bench.code / "rules" / "versions" / "1.toml", bench.code / "rules" / "table.py"
    first.write_text("one")
    deployment = bench.deploy("flows/late.py:late")
    bench.work(**SLOW_POLL)
    changes = [
        lambda: None,
        lambda: table.write_text(table.read_text().replace("old", "new")),
        lambda: first.write_text("one, corrected"),
        lambda: first.with_name("2.toml").write_text("two"),
    ]
    for change in changes:
        change()
        bench.reaches(bench.submit(deployment), "Completed")
    assert bench.lines() == [
        "old rate ['one']",
        "new rate ['one']",
        "new rate ['one, corrected']",
        "new rate ['one, corrected', 'two']",
    ]


QUICK = """
    @flow
    def quick():
        note("quick")
"""

SLOW_TO_IMPORT = """
import time
from pathlib import Path
from prefect import flow

with open("{log}", "a") as log:
    log.write("importing\\n")
while not Path("{gate}").exists():
    time.sleep(0.02)

@flow
def slow(): ...
"""


def test_a_run_whose_code_is_not_warm_yet_does_not_hold_up_the_others(bench):
    bench.write("flows/quick.py", QUICK)
    quick = bench.deploy("flows/quick.py:quick")
    bench.work(processes=2)
    bench.reaches(bench.submit(quick), "Completed")
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "slow.py").write_text(SLOW_TO_IMPORT.format(gate=bench.folder / "imported", log=bench.log))
    slow = bench.deploy("slow.py:slow", path=str(elsewhere))
    first = bench.submit(slow)
    bench.until(lambda: "importing" in bench.lines())
    second = bench.submit(slow)
    bench.reaches(bench.submit(quick), "Completed")
    bench.allow("imported")
    for run in (first, second):
        bench.reaches(run, "Completed")
