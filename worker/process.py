"""One worker process: RQ takes wake-ups from one queue, and a sweep beside it finds what Redis forgot."""

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import redis
import structlog
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from router.wakeups import QUEUE_OF, QueueName, connect, heartbeat_key
from worker.daily import Daily
from worker.retries import HEARTBEAT_SECONDS, HOUSEKEEPING_SECONDS, SWEEP_SECONDS
from worker.sweep import purge, sweep
from worker.tools import Tools, hold

log = structlog.get_logger(__name__)


def work(queue: QueueName, tools: Tools, *, redis_url: str) -> None:
    """Serve one queue until SIGTERM or SIGINT; the job in hand is finished first."""
    hold(tools)
    stop = threading.Event()
    sweeper = threading.Thread(target=_sweep_forever, args=(queue, tools, redis_url, stop), name="sweep", daemon=True)
    sweeper.start()
    client = redis.Redis.from_url(redis_url)  # RQ sets the timeouts its blocking reads need
    try:
        SimpleWorker(
            [Queue(queue, connection=client, serializer=JSONSerializer)], connection=client, serializer=JSONSerializer
        ).work()
    finally:
        stop.set()
        sweeper.join(timeout=SWEEP_SECONDS * 5)


def _sweep_forever(queue: QueueName, tools: Tools, redis_url: str, stop: threading.Event) -> None:
    jobs = [job for job, its_queue in QUEUE_OF.items() if its_queue is queue]
    client = connect(redis_url)
    daily, next_look = Daily(), 0.0
    while not stop.wait(SWEEP_SECONDS):
        with suppress(redis.RedisError):
            client.set(heartbeat_key(queue), tools.clock().isoformat(), ex=HEARTBEAT_SECONDS)
        _survive(lambda: sweep(tools, jobs))  # listing the databases may fail too
        if queue is QueueName.EVENTS and monotonic() >= next_look:
            next_look = monotonic() + HOUSEKEEPING_SECONDS
            _survive(lambda: daily.run(tools))
            _survive(lambda: purge(tools))


def _survive(task: Callable[[], None]) -> None:
    """Log what went wrong and go on: the sweep is what repairs everything else, so it must not die."""
    try:
        task()
    except Exception as error:
        log.exception("sweep_failed", error=str(error))
