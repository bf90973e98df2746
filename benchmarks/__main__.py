"""Everything that is measured, in one run: each part in a process of its own, one table, kept in docs/benchmarks.md.

    python -m benchmarks                       everything but the peers; make bench
    python -m benchmarks --peers               and DBOS and Airflow; make bench PEERS=1
    python -m benchmarks --quick --only case   a small size, nothing written to the page

A part that fails is named at the end, and the run then ends with 1; the others still count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import report

PARTS = ("case", "prompt", "waiting", "door", "desk", "month-end", "settlement", "imports", "peers")
DATABASES = ("sqlite", "postgres")
Command = list[str]


def commands(only: list[str], quick: bool) -> Iterator[tuple[str, Command]]:
    """Each part's name and how it is called."""
    sizes: dict[str, list[str]] = {
        "dianwu": ["--cases", "20", "--single", "5", "--idle", "5"] if quick else ["--cases", "150", "--single", "30"],
        "process": ["--cases", "2", "--single", "1", "--idle", "5"] if quick else ["--cases", "8", "--single", "4"],
        "prompt": ["--decisions", "50"] if quick else [],
        "waiting": ["--cases", "500", "--settle", "10"] if quick else [],
        "door": ["--each", "25"] if quick else [],
        "desk": ["--questions", "300", "--times", "10"] if quick else [],
        "month-end": ["--shops", "500"] if quick else [],
        "settlement": ["--shops", "500"] if quick else ["--shops", "100000"],
        "imports": ["--shops", "500"] if quick else ["--shops", "100000"],
        "peers": ["--cases", "20"] if quick else [],
    }
    for database in DATABASES:
        if "case" in only:
            for worker in ("dianwu", "process"):
                yield f"case {worker} {database}", [
                    "-m", "benchmarks.case", "--worker", worker, "--database", database, *sizes[worker],
                ]  # fmt: skip
        for part in ("prompt", "waiting", "desk"):
            if part in only:
                yield f"{part} {database}", ["-m", f"benchmarks.{part}", "--database", database, *sizes[part]]
        if "door" in only:
            yield f"door {database}", ["-m", "benchmarks.door", "--database", database, *sizes["door"]]
    if "month-end" in only:
        yield "month-end", ["-m", "benchmarks.month_end", "--json", "--cluster", *sizes["month-end"]]
    if "settlement" in only:
        yield "settlement", ["-m", "benchmarks.settlement", "--json", "--cluster", *sizes["settlement"]]
    if "imports" in only:
        yield "imports", ["-m", "benchmarks.imports", "--json", "--cluster", *sizes["imports"]]
    if "peers" in only:
        yield "peers", ["-m", "benchmarks.peers", *sizes["peers"]]


def run(name: str, command: Command) -> dict[str, Any]:
    """One part's figures; raises when it fails or says nothing that can be read."""
    began = time.monotonic()
    sys.stderr.write(f"{name} …\n")
    done = subprocess.run([sys.executable, *command], check=True, stdout=subprocess.PIPE, text=True)
    found = _read(done.stdout)
    sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    if isinstance(found, list):
        found = {"figures": found}
    return {"part": name.partition(" ")[0], **found}


def _read(text: str) -> Any:
    """All of the output, or its last line, as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(text.strip().splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"some of {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes; the page is not written")
    parser.add_argument("--peers", action="store_true", help="measure DBOS and Airflow too")
    parser.add_argument("--out", default="", help="also write all figures to this file, as JSON")
    given = parser.parse_args()
    only = given.only.split(",") if given.only else [part for part in PARTS if part != "peers" or given.peers]
    if unknown := set(only) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    parts, failed = [], []
    for name, command in commands(only, given.quick):
        try:
            parts.append(run(name, command))
        except (subprocess.CalledProcessError, ValueError, IndexError) as error:
            failed.append(f"{name}: {error}")
            sys.stderr.write(f"{failed[-1]}\n")
        if given.out:
            Path(given.out).write_text(json.dumps(parts, indent=2), encoding="utf-8")
    made = report.tables(parts)
    asked = " ".join(arg for arg in sys.argv[1:] if not arg.startswith("--out"))
    about = report.machine(" ".join(["python -m benchmarks", *([asked] if asked else [])]))
    print("\n\n".join([about, *made.values()]))
    if not given.quick:
        report.publish(made, about)
    for line in failed:
        print(f"failed: {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
