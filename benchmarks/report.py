"""Figures into tables: one each for the case, the waiting, the peers and month-end, with targets and ratios."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import imports, month_end, settlement
from tests.postgres import binaries

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
PACKAGES = ("prefect", "sqlalchemy", "fastapi", "uvicorn", "uvloop", "psycopg")
Figures = dict[str, Any]


def machine(command: str) -> str:
    """Where and with what: processor, cores, versions, date, command."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*: (.+)", cpuinfo.read_text())):
        model = found[1].strip()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    versions += [f"CPython {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}", _postgres()]
    cores = len(os.sched_getaffinity(0))
    today = datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d")
    return f"`{command}`, {today}, {model}, {cores} cores. " + ", ".join(filter(None, versions)) + "."


def _postgres() -> str:
    folder = binaries()
    if folder is None:
        return ""
    told = subprocess.run([str(folder / "postgres"), "--version"], stdout=subprocess.PIPE, text=True, check=False)
    found = re.search(r"\d+(\.\d+)?", told.stdout)
    return f"PostgreSQL {found[0]} (durability off)" if found else ""


def cells(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _of(parts: list[Figures], part: str, **wanted: str) -> list[Figures]:
    return [f for f in parts if f.get("part") == part and all(f.get(name) == value for name, value in wanted.items())]


def _parts(values: dict[str, float], form: str = "{:.3f}") -> str:
    return ", ".join(f"{name} {form.format(value)}" for name, value in values.items())


def case_table(parts: list[Figures]) -> str:
    """Ours beside stock Prefect on each database, and how many times less or sooner."""
    found = _of(parts, "case")
    if not found:
        return ""
    head = ["one case: check, review, effect"]
    columns: list[tuple[Figures, Figures | None]] = []
    for database in dict.fromkeys(f["database"] for f in found):
        ours = next(iter(_of(found, "case", database=database, worker="dianwu")), None)
        stock = next(iter(_of(found, "case", database=database, worker="process")), None)
        columns += [(each, None) for each in (ours, stock) if each]
        head += [f"{database}: {name}" for each, name in ((ours, "dianwu"), (stock, "stock Prefect")) if each]
        if ours and stock:
            columns.append((stock, ours))
            head.append(f"{database}: ratio")

    def row(name: str, key: str, form: str, more_is_better: bool = False) -> list[str]:
        cells_ = [name]
        for f, ours in columns:
            if ours is None:
                cells_.append(form.format(f[key]))
            else:
                over, under = (ours[key], f[key]) if more_is_better else (f[key], ours[key])
                cells_.append(f"{over / under:.1f} ×" if under else "—")
        return cells_

    rows = [
        row("submitted → waiting for review, p50 (target ≤ 0.5 s)", "shown_p50_s", "{:.2f} s"),
        row("submitted → waiting for review, p95 (≤ 1.5 s)", "shown_p95_s", "{:.2f} s"),
        row("decision → effect, p50 (≤ 0.5 s)", "done_p50_s", "{:.2f} s"),
        row("decision → effect, p95 (≤ 1.5 s)", "done_p95_s", "{:.2f} s"),
        row("CPU-seconds a case, all processes (≤ 0.4)", "cpu_per_case", "{:.3f}"),
        row("of that, above the idle stack", "cpu_net_per_case", "{:.3f}"),
        row("cases a second, sustained", "cases_per_s", "{:.2f}", more_is_better=True),
        row("CPU of the idle stack, cores", "idle_cpu", "{:.3f}"),
    ]
    notes = [
        f"- {f['database']}, {f['worker']}: {f['cases']} cases at once, {f['single']} one by one; "
        f"CPU a case by part: {_parts(f['cpu_by_part'])}; memory (MB): {_parts(f['memory_mb'], '{:.0f}')}."
        for f in found
    ]
    return cells(head, rows) + "\n\n" + "\n".join(notes)


def by_database(parts: list[Figures], part: str, rows: list[tuple[str, Any]]) -> str:
    found = _of(parts, part)
    if not found:
        return ""
    return cells(
        [part.replace("-", " "), *(f["database"] for f in found)],
        [[name, *(str(words(f)) for f in found)] for name, words in rows],
    )


PROMPT: list[tuple[str, Any]] = [
    ("decisions given the moment the form appears", lambda f: f"{f['decisions']:,}"),
    ("not taken at once by Prefect", lambda f: f["refused"]),
    ("lost (target 0)", lambda f: f["lost"]),
    ("took, submissions included", lambda f: f"{f['took_s']} s"),
]
WAITING: list[tuple[str, Any]] = [
    ("cases waiting", lambda f: f"{f['cases']:,}"),
    ("memory of all processes, one waiting", lambda f: f"{sum(f['memory_one_mb'].values()):.0f} MB"),
    ("memory of all processes, all waiting", lambda f: f"{sum(f['memory_all_mb'].values()):.0f} MB"),
    ("memory a waiting case (target 0)", lambda f: f"{f['memory_kb_per_case']:.1f} KB"),
    ("disk a waiting case, our database (≤ 10 KB)", lambda f: f"{f['own_kb']:.1f} KB in {f['rows_own']} rows"),
    ("disk a waiting case, Prefect's", lambda f: f"{f['prefect_kb']:.1f} KB in {f['rows_prefect']} rows"),
    ("start until ready, one waiting", lambda f: f"{f['ready_one_s']} s"),
    ("start until ready, all waiting", lambda f: f"{f['ready_all_s']} s"),
    ("CPU of a start, one waiting", lambda f: f"{f['restart_cpu_one_s']} s"),
    ("CPU of a start beyond that, all waiting (≤ 2 s)", lambda f: f"{f['restart_cpu_extra_s']} s"),
    ("deadline sweep, nothing due (≤ 1 s)", lambda f: f"{f['sweep_deadlines_s']:.3f} s"),
    ("whole minute's sweep with recovery and board", lambda f: f"{f['sweep_s']:.2f} s"),
    ("the same as a flow, asked for by hand", lambda f: f"{f['sweep_flow_s']:.2f} s"),
    ("all of them overdue and escalated", lambda f: f"{f['overdue_s']:.1f} s for {f['overdue']:,}"),
]
DESK: list[tuple[str, Any]] = [
    ("questions open", lambda f: f"{f['questions']:,}"),
    ("queue, p50 / p95 (target p95 ≤ 100 ms)", lambda f: _ms(f, "queue")),
    ("question, p50 / p95 (≤ 150 ms)", lambda f: _ms(f, "question")),
    ("decision until the next case is shown, p50 / p95 (≤ 300 ms)", lambda f: _ms(f, "decide")),
    ("50 people whose pages ask what is new, cores (≤ 0.05)", lambda f: f"{f['lookers_cores']:.3f}"),
    ("largest of these pages without pictures (≤ 60 KB)", lambda f: f"{f['page_kb']:.0f} KB"),
]
DOOR: list[tuple[str, Any]] = [
    ("requests a second, each stored before its answer", lambda f: f"{f['requests_per_second']:.0f}"),
    ("answered after, p50", lambda f: f"{f['p50_s'] * 1000:.0f} ms"),
    ("answered after, p99", lambda f: f"{f['p99_s'] * 1000:.0f} ms"),
    ("longest", lambda f: f"{f['max_s'] * 1000:.0f} ms"),
]


def _ms(f: Figures, name: str) -> str:
    return f"{f[f'{name}_p50_s'] * 1000:.0f} / {f[f'{name}_p95_s'] * 1000:.0f} ms"


def month_table(parts: list[Figures]) -> str:
    found = [figures for part in _of(parts, "month-end") for figures in part["figures"]]
    return month_end.table(found) if found else ""


def settlement_table(parts: list[Figures]) -> str:
    found = [figures for part in _of(parts, "settlement") for figures in part["figures"]]
    return settlement.table(found) if found else ""


def imports_table(parts: list[Figures]) -> str:
    found = [figures for part in _of(parts, "imports") for figures in part["figures"]]
    return imports.table(found) if found else ""


def peers_table(parts: list[Figures]) -> str:
    """The others beside ours on PostgreSQL."""
    rows = []
    for ours in _of(parts, "case", database="PostgreSQL", worker="dianwu"):
        prompt = next(iter(_of(parts, "prompt", database="PostgreSQL")), None)
        lost = f"{prompt['lost']} of {prompt['decisions']:,}" if prompt else "—"
        rows.append(["Dianwu", *_peer(ours, f"{ours['shown_p95_s']:.2f}", f"{ours['done_p95_s']:.2f}"), lost])
    failed = []
    for peer in (each for part in _of(parts, "peers") for each in part["peers"]):
        if "failed" in peer:
            failed.append(f"- {peer['peer']} could not be measured: {peer['failed']}")
            continue
        name = f"{peer['peer']} {peer['version']}"
        words = _peer(peer, f"{peer['shown_p95_s']:.2f}", f"{peer['done_p95_s']:.2f}")
        rows.append([name, *words, f"{peer['lost']} of {peer['prompt']}"])
    if not _of(parts, "peers"):
        return ""
    head = [
        "the same case, PostgreSQL",
        "shown p50 / p95, s",
        "effect p50 / p95, s",
        "CPU-s a case",
        "cases/s",
        "prompt decisions lost",
    ]
    return "\n".join([cells(head, rows), *(["", *failed] if failed else [])])


def _peer(f: Figures, shown: str, done: str) -> list[str]:
    return [
        f"{f['shown_p50_s']:.2f} / {shown}",
        f"{f['done_p50_s']:.2f} / {done}",
        f"{f['cpu_per_case']:.3f}",
        f"{f['cases_per_s']:.1f}",
    ]


def tables(parts: list[Figures]) -> dict[str, str]:
    """Every table that these parts can fill, by the name of its place on the page."""
    made = {
        "case": case_table(parts),
        "prompt": by_database(parts, "prompt", PROMPT),
        "waiting": by_database(parts, "waiting", WAITING),
        "door": by_database(parts, "door", DOOR),
        "desk": by_database(parts, "desk", DESK),
        "month-end": month_table(parts),
        "settlement": settlement_table(parts),
        "imports": imports_table(parts),
        "peers": peers_table(parts),
    }
    return {name: text for name, text in made.items() if text}


def publish(made: dict[str, str], about: str, page: Path = PAGE) -> None:
    """Put the tables between their markers on the page; what stands around them stays."""
    text = page.read_text(encoding="utf-8")
    for name, table in made.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"{page.name} has no place for {name}: {begin} … {end}")
        head, rest = text.split(begin, 1)
        text = f"{head}{begin}\n{about}\n\n{table}\n{end}{rest.split(end, 1)[1]}"
    page.write_text(text, encoding="utf-8")
