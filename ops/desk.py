"""The desk's process: where people decide, in a browser."""

from __future__ import annotations

import logging

import uvicorn

from ops.environment import apply
from ops.secrets import prepare


def main() -> None:
    """Serve until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    given = prepare()
    apply(given)
    from desk.ahead import Ahead
    from desk.app import create_app  # what it shows brings Prefect along, with the environment in place

    app, ahead = create_app(given), Ahead()
    ahead.start()
    uvicorn.run(
        app,
        host=given.host,
        port=given.desk_port,
        access_log=False,
        server_header=False,
        log_level="warning",
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    ahead.stop()


if __name__ == "__main__":
    main()
