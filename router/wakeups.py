"""The alarm clock: the only place that enqueues RQ jobs, by name and vendor id.

Postgres is the truth. A wake-up only says "look now"; when it is lost, the sweep of the worker looks a second later.
"""

from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from typing import Final

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from router.ids import VendorId

log = structlog.get_logger(__name__)


class QueueName(StrEnum):
    """One worker process serves one queue, so that a push that waits 30 s for M-Pesa never holds back a message."""

    MESSAGES = "messages"
    PUSHES = "pushes"
    EVENTS = "events"


class Job(StrEnum):
    """What can be woken. The value is the job's name in code."""

    SEND = "worker.jobs.send_messages.run"
    PUSH = "worker.jobs.push_stk.run"
    QUERY = "worker.jobs.query_stk.run"
    PULL = "worker.jobs.pull_money.run"
    SETTLE = "worker.jobs.settle_payment.run"
    TURN = "worker.jobs.take_turns.run"
    EXPIRE = "worker.jobs.expire_orders.run"
    WEBHOOK = "worker.jobs.deliver_events.run"


QUEUE_OF: Final = {
    Job.SEND: QueueName.MESSAGES,
    Job.PUSH: QueueName.PUSHES,
    Job.QUERY: QueueName.EVENTS,
    Job.PULL: QueueName.EVENTS,
    Job.SETTLE: QueueName.EVENTS,
    Job.TURN: QueueName.EVENTS,
    Job.EXPIRE: QueueName.EVENTS,
    Job.WEBHOOK: QueueName.EVENTS,
}
JOB_TIMEOUT_SECONDS: Final = 120
_PENDING_SECONDS: Final = 5  # a flag outlives its lost job by this much at most


def connect(url: str, *, timeout_seconds: float = 1.0) -> redis.Redis:
    """A client that fails at once: redis-py's own defaults retry for seconds, inside a request."""
    return redis.Redis.from_url(
        url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds, retry=Retry(NoBackoff(), 0)
    )


def pending_flag(job: Job, vendor_id: VendorId) -> str:
    """The Redis key that says "this job is already waiting for this vendor"."""
    return f"soko:pending:{job.name.lower()}:{vendor_id.hex}"


def heartbeat_key(queue: QueueName) -> str:
    """The Redis key under which the worker of a queue says that it is alive."""
    return f"soko:worker:{queue}"


class Wakeups:
    """Wakes workers after a commit. A flag in Redis folds the wake-ups that arrive while one is already waiting."""

    def __init__(self, client: redis.Redis | None) -> None:
        self._client = client
        self._queues = (
            {name: Queue(name, connection=client, serializer=JSONSerializer) for name in QueueName} if client is not None else {}
        )

    def wake(self, jobs: Iterable[Job], vendor_id: VendorId) -> None:
        """Ask for each job to run soon for this vendor. Never raises: a lost wake-up costs a second, not data."""
        if self._client is None:
            return
        try:
            for job in jobs:
                if self._client.set(pending_flag(job, vendor_id), "1", nx=True, ex=_PENDING_SECONDS):
                    self._queues[QUEUE_OF[job]].enqueue_call(
                        str(job), args=(str(vendor_id),), timeout=JOB_TIMEOUT_SECONDS, result_ttl=0, failure_ttl=3600
                    )
        except redis.RedisError as error:
            log.warning("wakeup_lost", error=str(error))

    def started(self, job: Job, vendor_id: VendorId) -> None:
        """Called first by the job itself: from here on, a new wake-up enqueues a new job."""
        if self._client is not None:
            with suppress(redis.RedisError):
                self._client.delete(pending_flag(job, vendor_id))
