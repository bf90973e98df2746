"""The door's process: the HTTP application, with the couriers beside it."""

from __future__ import annotations

import logging

import uvicorn

from ops.environment import apply
from ops.secrets import prepare


def main() -> None:
    """Serve until told to stop; the couriers finish their round first."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    given = prepare()
    apply(given)
    from office.runs.engine import PrefectEngine
    from ops.examiner import Examiner
    from ops.watch import Watch
    from tasks.delivery import Courier, carry_on, send_events, send_post
    from tasks.sight.board import Clerk  # Prefect is imported here, with the environment in place
    from webhooks.app import create_app
    from webhooks.guard import guarded

    app = create_app(given)
    clerk, examiner, watch = Clerk().start(), Examiner().start(), Watch().start()
    carrier = PrefectEngine()
    leaving = [Courier("events", send_events).start(), Courier("post", send_post).start()]

    def after_round(done: int) -> None:
        clerk.after_round(done)
        if done:
            for courier in leaving:
                courier.call()

    cases = Courier("cases", lambda: carry_on(carrier), after_round).start()
    app.state.on_stored = cases.call
    app.state.delivering = lambda: all(courier.alive for courier in (cases, *leaving))
    try:
        uvicorn.run(
            app,
            host=given.host,
            port=given.door_port,
            access_log=False,
            server_header=False,
            log_level="warning",
            http=guarded(max_connections=given.max_connections),
            ws="none",
        )
    finally:
        for courier in (cases, *leaving):
            courier.stop()
        clerk.stop()
        examiner.stop()
        watch.stop()


if __name__ == "__main__":
    main()
