"""`python -m ops.worker --pool P [--name N]`: a worker that is started again after a fault."""

import argparse
import sys

from ops.worker.launch import command, supervise


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m ops.worker", description=__doc__)
    parser.add_argument("--pool", required=True, help="work pool to take runs from")
    parser.add_argument("--name", help="name in the UI; by default made of the host's name")
    chosen, extra = parser.parse_known_args()
    return supervise(command(chosen.pool, chosen.name, extra))


if __name__ == "__main__":
    sys.exit(main())
