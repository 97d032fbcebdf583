"""The worker as one command: a process for each queue, each restarted when it dies."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from typing import Final

import structlog

from conversation.live_flows import LiveFlows
from conversation.whatsapp.outbound import CloudApi
from payments.access_token import AccessTokens
from payments.daraja import DarajaClient
from payments.rates import Rates
from router.databases import Databases
from router.wakeups import QueueName, Wakeups, connect
from soko.assembly import build_signing, build_turns, following, open_databases
from soko.clock import utc_now
from soko.embedded import Urls, engines
from soko.parent import VARIABLE, watch_parent
from soko.settings import Settings
from worker.process import work
from worker.tools import Tools

log = structlog.get_logger(__name__)

GRAPH_VERSION: Final = "v26.0"
RESTART_SECONDS: Final = 1.0
STOP_SECONDS: Final = 30.0


def work_all(settings: Settings, queues: Sequence[QueueName]) -> None:
    """Work until SIGTERM or SIGINT. Everything is imported here once, before the processes fork off, and no thread yet runs."""
    fork = multiprocessing.get_context("fork")
    stop = threading.Event()
    for caught in (signal.SIGINT, signal.SIGTERM):
        signal.signal(caught, lambda _number, _frame: stop.set())
    running = {queue: fork.Process(target=_work_one, args=(settings, queue, os.getpid()), name=queue) for queue in queues}
    for process in running.values():
        process.start()
    parent = int(os.environ.get(VARIABLE, os.getppid()))
    while not stop.wait(RESTART_SECONDS) and os.getppid() == parent:  # an orphan would never be stopped
        for queue, process in running.items():
            if not process.is_alive():
                log.error("worker_died", queue=queue, exit_code=process.exitcode)
                running[queue] = fork.Process(target=_work_one, args=(settings, queue, os.getpid()), name=queue)
                running[queue].start()
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.join(STOP_SECONDS)


def build_tools(settings: Settings, databases: Databases, urls: Urls, flows: LiveFlows) -> Tools:
    """Make a worker process's tools."""
    return Tools(
        databases=databases,
        turns=build_turns(databases, urls, flows),
        cloud_api=CloudApi(base_url=f"{settings.graph_url.rstrip('/')}/{GRAPH_VERSION}"),
        daraja=DarajaClient(
            base_url=settings.daraja_url,
            tokens=AccessTokens(connect(urls.redis)),
            pull_method=settings.daraja_pull_method,
            rates=Rates(connect(urls.redis), per_minute=settings.daraja_calls_a_minute),
        ),
        wakeups=Wakeups(connect(urls.redis)),
        open_secret=settings.open_secret,
        signing=build_signing(settings),
        clock=utc_now,
        trace_days=settings.trace_days,
        callback_base_url=settings.public_url.rstrip("/"),
    )


def _work_one(settings: Settings, queue: QueueName, parent: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch_parent(parent)
    with engines(settings) as urls, open_databases(settings, urls) as databases, following(databases) as flows:
        structlog.contextvars.bind_contextvars(queue=str(queue), pid=os.getpid())
        work(queue, build_tools(settings, databases, urls, flows), redis_url=urls.redis)
