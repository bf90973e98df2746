"""Mixed load for long, with workers killed at random: does memory, latency or a book drift?

    python -m benchmarks.soak --minutes 30 --load 0.8          make soak
    python -m benchmarks.soak --minutes 2 --database sqlite    a short look

First a minute without a break tells what this machine can do; then stories arrive at that share of it: closures
rejected and granted, deposits paid back, appeals. Every so often the worker with all its processes, or one process of
it, is killed −9. At the end everything has to come to rest: every case ended, the books balanced, the audit chains
whole, every message delivered. Ends with 1 otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any

from sqlmodel import col, select

import ops.rehearsal
from benchmarks import report
from benchmarks.processes import tree
from benchmarks.site import REJECT, Site, databases, percentile, site
from models.cases import Case
from office.base.db import reading
from ops.rehearsal import Rehearsal
from ops.scenes.appeals import file, rule
from ops.scenes.closing import RefundScene
from ops.scenes.stage import ask_to_close, close, register
from tests.stack.killer import wrong

PLAYERS = 16
PATIENCE = 300.0
"""A story may meet a worker that has just been killed."""


class Load:
    """Stories, one after the other or many at once, and what they measured."""

    def __init__(self, stage: Rehearsal) -> None:
        self.stage = stage
        self.shown: list[float] = []
        self.done: list[float] = []
        self.stories: Counter[str] = Counter()
        self.failed: list[str] = []
        self._numbers = itertools.count(1)
        self._kinds: dict[str, tuple[int, Callable[[str], None]]] = {
            "closure rejected": (10, self._rejected),
            "closure granted": (4, self._closed),
            "appeal dismissed": (4, self._appeal),
            "deposit returned": (2, self._refund),
        }

    def one(self) -> None:
        """Play one story of a kind drawn by weight."""
        names = list(self._kinds)
        (name,) = random.choices(names, [self._kinds[each][0] for each in names])
        try:
            self._kinds[name][1](f"soak-{next(self._numbers):06}")
            self.stories[name] += 1
        except Exception as error:
            self.failed.append(f"{name}: {type(error).__name__}: {error}")

    def _rejected(self, shop: str) -> None:
        stage = self.stage
        register(stage, shop, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
        began = time.monotonic()
        case_id = ask_to_close(stage, shop)
        stage.asks(case_id, "closure-review")
        self.shown.append(time.monotonic() - began)
        began = time.monotonic()
        stage.decide(case_id, "closure-review", "li-na", REJECT, "材料不全")
        stage.state(case_id, "REJECTED")
        self.done.append(time.monotonic() - began)

    def _closed(self, shop: str) -> None:
        register(self.stage, shop, "青禾服饰", "INDIVIDUAL_BUSINESS", 200_000, "ALIPAY", "owner-0003")
        close(self.stage, shop, "li-na")

    def _refund(self, shop: str) -> None:
        scene = RefundScene(self.stage, shop_id=shop)
        scene.set_up()
        scene.play()

    def _appeal(self, shop: str) -> None:
        register(self.stage, shop, "云朵母婴", "ENTERPRISE", 1_000_000, "BANK", "3301040160000004321")
        case_id = file(self.stage, shop, rule(self.stage, shop, "1"))
        self.stage.decide(case_id, "appeal-review", "zhou-yan", "申诉不成立", "凭证与订单不符")
        self.stage.state(case_id, "DISMISSED")


def capacity(load: Load, seconds: float) -> float:
    """Stories a second with every player busy all the time."""
    began = time.monotonic()
    stop = began + seconds

    def play() -> None:
        while time.monotonic() < stop:
            load.one()

    with ThreadPoolExecutor(PLAYERS) as players:
        for each in [players.submit(copy_context().run, play) for _ in range(PLAYERS)]:  # whose Prefect is meant
            each.result()
    return sum(load.stories.values()) / (time.monotonic() - began)


class Reaper(threading.Thread):
    """Kills the worker with everything it started, or one process of it, at random."""

    def __init__(self, at: Site, between: tuple[float, float]) -> None:
        super().__init__(daemon=True)
        self._at, self._between = at, between
        self.stop, self.kills = threading.Event(), Counter[str]()

    def run(self) -> None:
        while not self.stop.wait(random.uniform(*self._between)):
            process = self._at.stack.parts["worker"].process
            children = tree(process.pid)[1:] if process is not None and process.poll() is None else []
            if children and random.random() < 0.5:
                with suppress(ProcessLookupError):
                    os.kill(random.choice(children), signal.SIGKILL)
                    self.kills["process"] += 1
            else:
                self._at.stack.kill("worker")
                self.kills["worker"] += 1


def drive(at: Site, load: Load, rate: float, minutes: float) -> list[dict[str, Any]]:
    """Let stories arrive at that rate; a record per minute."""
    records: list[dict[str, Any]] = []
    under_way: list[Future[None]] = []
    began = time.monotonic()
    minute, due = 1, began
    with ThreadPoolExecutor(PLAYERS * 4) as players:
        while (now := time.monotonic()) < began + minutes * 60:
            if now >= due:
                under_way.append(players.submit(copy_context().run, load.one))
                due += random.expovariate(rate)
            if now >= began + minute * 60:
                under_way = [each for each in under_way if not each.done()]
                shown, load.shown = load.shown, []
                done, load.done = load.done, []
                records.append(
                    {
                        "minute": minute,
                        "stories": sum(load.stories.values()),
                        "under_way": len(under_way),
                        "shown_p50": percentile(shown, 0.5),
                        "shown_p95": percentile(shown, 0.95),
                        "done_p50": percentile(done, 0.5),
                        "done_p95": percentile(done, 0.95),
                        "memory": at.memory(),
                    }
                )
                sys.stderr.write(f"{json.dumps(records[-1])}\n")
                minute += 1
            time.sleep(max(0.0, min(due - time.monotonic(), 0.2)))
    return records


def settle(at: Site) -> list[str]:
    """Wait for rest, then everything that is wrong."""

    def unfinished() -> list[str]:
        with reading() as tx:
            return list(tx.exec(select(Case.id).where(col(Case.concluded_at).is_(None))))

    give_up = time.monotonic() + PATIENCE
    while (unfinished() or not at.handled()) and time.monotonic() < give_up:
        time.sleep(1)
    problems = [f"{case_id} has not ended" for case_id in unfinished()]
    with reading() as tx:
        return problems + wrong(tx)


def slope(values: list[float]) -> float:
    """Change a minute, by least squares."""
    n = len(values)
    if n < 2:
        return 0.0
    middle, mean = (n - 1) / 2, sum(values) / n
    return sum((x - middle) * (y - mean) for x, y in enumerate(values)) / sum((x - middle) ** 2 for x in range(n))


def drift(records: list[dict[str, Any]]) -> str:
    """First third, last third and slope of everything recorded."""
    series = {
        f"{name}, s": [r[name.replace(" ", "_")] for r in records]
        for name in ("shown p50", "shown p95", "done p50", "done p95")
    }
    parts = sorted({name for r in records for name in r["memory"]})
    series |= {f"memory of {name}, MB": [r["memory"].get(name, 0.0) for r in records] for name in parts}
    third = max(1, len(records) // 3)
    rows = [
        [name, f"{sum(v[:third]) / third:.2f}", f"{sum(v[-third:]) / third:.2f}", f"{max(v):.2f}", f"{slope(v):+.3f}"]
        for name, v in series.items()
    ]
    return report.cells(["soak", "first third", "last third", "highest", "change a minute"], rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--load", type=float, default=0.8, help="share of the capacity measured at the start")
    parser.add_argument("--calibrate", type=float, default=60, help="seconds of that measurement")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="postgres")
    parser.add_argument("--kill-every", type=float, default=120, help="seconds between kills, on average")
    parser.add_argument("--keep", action="store_true", help="write the result to docs/benchmarks.md")
    given = parser.parse_args()
    ops.rehearsal.PATIENCE = PATIENCE
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with databases(given.database, home) as found, site(home, found) as at:
            load = Load(at.stage)
            could = capacity(load, given.calibrate)
            sys.stderr.write(f"capacity {could:.2f} stories a second\n")
            load.stories.clear()
            load.shown.clear()
            load.done.clear()
            reaper = Reaper(at, (given.kill_every / 3, given.kill_every * 5 / 3))
            reaper.start()
            records = drive(at, load, could * given.load, given.minutes)
            reaper.stop.set()
            reaper.join()
            problems = load.failed + settle(at)
            with reading() as tx:
                cases = len(list(tx.exec(select(Case.id))))
    told = [
        report.machine(f"python -m benchmarks.soak --minutes {given.minutes:g} --load {given.load:g}"),
        f"{found.name}: {could:.2f} stories a second possible, {could * given.load:.2f} asked for; "
        f"{sum(load.stories.values())} stories ({', '.join(f'{n} {name}' for name, n in load.stories.items())}), "
        f"{cases} cases in all; killed −9: {dict(reaper.kills)}; wrong at the end: {len(problems)}.",
        drift(records) if records else "",
    ]
    print("\n\n".join(told))
    for problem in problems[:50]:
        print(f"wrong: {problem}")
    if given.keep:
        report.publish({"soak": "\n\n".join(told[1:])}, told[0])
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
