"""The door's process: the HTTP application, with the courier beside it."""

from __future__ import annotations

import logging

import uvicorn

from ops.environment import apply
from ops.secrets import prepare


def main() -> None:
    """Serve until told to stop; the courier finishes its round first."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    given = prepare()
    apply(given)
    from tasks.delivery import Courier  # Prefect is imported here, with the environment in place
    from tasks.engine import PrefectEngine
    from tasks.queue import Clerk
    from webhooks.app import create_app

    app = create_app(given)
    clerk = Clerk().start()
    courier = Courier(PrefectEngine(), clerk.after_round).start()
    app.state.on_stored = courier.call
    app.state.delivering = lambda: courier.alive
    try:
        uvicorn.run(
            app, host=given.host, port=given.door_port, access_log=False, server_header=False, log_level="warning"
        )
    finally:
        courier.stop()
        clerk.stop()


if __name__ == "__main__":
    main()
