"""Start the emulator: `.tools/local/bin/python -m local.emulator`, with its settings in the environment.

The environment is set before ministack is imported, because ministack reads it at import.
"""

import asyncio
import logging
import os
import shutil
import signal
import sys
import threading

import uvicorn
import uvloop

KEEP_ALIVE_SECONDS = 75
"""Longer than botocore keeps an idle connection in its pool, or a request may meet a connection that just closed."""


def _configure() -> None:
    """Translate our few variables to ministack's, and keep it on loopback with no other port."""
    own = os.environ
    own["GATEWAY_PORT"] = own.setdefault("LOCAL_AWS_PORT", "4566")
    own["MINISTACK_ACCOUNT_ID"] = own.setdefault("LOCAL_AWS_ACCOUNT", "111122223333")
    own["MINISTACK_REGION"] = own.setdefault("LOCAL_AWS_REGION", "eu-west-1")
    own["AUTH"] = own.setdefault("LOCAL_AWS_ENFORCE_IAM", "true")
    own["BIND_HOST"] = own["MINISTACK_HOST"] = "127.0.0.1"
    # With `cryptography` installed ministack would open 0.0.0.0:8883 as well.
    own["IOT_MTLS_ENABLED"] = own["SFTP_ENABLED"] = "0"


_ORPHANED = threading.Event()
"""Set when whoever started us is gone."""


def _stop_with_parent() -> None:
    """Standard input is a pipe from whoever started us: its end means that they are gone."""

    def watch() -> None:
        while sys.stdin.buffer.read(1):
            pass
        _ORPHANED.set()
        os.kill(os.getpid(), signal.SIGTERM)

    if not sys.stdin.isatty():
        threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def main() -> None:
    """Install the glue and serve until SIGTERM, SIGINT or the end of the parent."""
    _configure()
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "WARNING"), format="%(asctime)s %(name)s %(message)s")
    from local.emulator import clock, gateway, hooks, install, settings

    hooks.require_hooks()
    if os.environ.get("LOCAL_AWS_CLOCK") == clock.SIMULATED:
        clock.CLOCK.simulate(os.environ.get("LOCAL_AWS_CLOCK_BEGINS") or clock.BEGINNING)
        settings.SETTINGS.as_in_aws()
    install.install()
    if os.environ.get("LOCAL_AWS_WATCH_PARENT", "true") == "true":
        _stop_with_parent()
    config = uvicorn.Config(
        gateway.app,
        host="127.0.0.1",
        port=int(os.environ["GATEWAY_PORT"]),
        http="httptools",  # an answer costs a third of what it does with a parser in Python
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,  # ministack has its own
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them once more when it has stopped
        signal.signal(number, lambda *_: None)
    try:
        asyncio.run(uvicorn.Server(config).serve(), loop_factory=uvloop.new_event_loop)
    finally:
        install.remove_workers()
        clock.CLOCK.remove()
        if _ORPHANED.is_set() and "LOCAL_AWS_FOLDER" in os.environ:  # a parent that was killed cannot remove it
            shutil.rmtree(os.environ["LOCAL_AWS_FOLDER"], ignore_errors=True)
        # Threads of ministack that are not daemons would keep the process for as long as a function runs.
        os._exit(0)


if __name__ == "__main__":
    main()
