import importlib
import time

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from router.ids import VendorId
from router.wakeups import QUEUE_OF, Job, QueueName, Wakeups, connect
from worker.sweep import DRAIN


def waiting(url: str, queue: QueueName) -> int:
    with redis.Redis.from_url(url) as client:
        return len(Queue(queue, connection=client, serializer=JSONSerializer))


def test_every_job_name_resolves_and_every_job_is_swept() -> None:
    for job in Job:
        module, _, function = job.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))
    assert set(DRAIN) == set(QUEUE_OF) == set(Job)


def test_wakeups_that_arrive_while_one_waits_are_folded(redis_url: str, vendor_id: VendorId) -> None:
    wakeups = Wakeups(connect(redis_url))
    for _ in range(10):
        wakeups.wake([Job.SEND], vendor_id)
    assert waiting(redis_url, QueueName.MESSAGES) == 1


def test_a_wakeup_after_the_job_began_enqueues_another(redis_url: str, vendor_id: VendorId) -> None:
    wakeups = Wakeups(connect(redis_url))
    wakeups.wake([Job.SEND], vendor_id)
    wakeups.started(Job.SEND, vendor_id)
    wakeups.wake([Job.SEND], vendor_id)
    assert waiting(redis_url, QueueName.MESSAGES) == 2


def test_without_redis_a_wakeup_is_lost_at_once_and_raises_nothing(vendor_id: VendorId) -> None:
    wakeups = Wakeups(connect("redis://127.0.0.1:1/0"))
    begin = time.monotonic()
    wakeups.wake(list(Job), vendor_id)
    wakeups.started(Job.SEND, vendor_id)
    assert time.monotonic() - begin < 2
