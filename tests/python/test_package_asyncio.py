"""The package in an event loop: ``async for`` over a log's events, cancelled and not."""

import asyncio

import numpy as np
import pytest

import flashstrike_wal as fs
from support import SEGMENT_EVENTS, SMALL, make_events


@pytest.fixture
def log(tmp_path):
    with fs.Log(tmp_path / "wal", **SMALL) as opened:
        yield opened


def test_asyncio(log):
    events = make_events(3 * SEGMENT_EVENTS)

    async def follow():
        batches = []
        async for batch in log.follow():
            batches.append(batch)
        return np.concatenate(batches)

    async def write():
        for start in range(0, len(events), 1000):
            log.append_batch(events[start : start + 1000])
            await asyncio.sleep(0)
        log.close()

    async def main():
        found, _ = await asyncio.gather(follow(), write())
        return found

    assert asyncio.run(main()).tobytes() == events.tobytes()

    async def past():
        return np.concatenate([batch async for batch in fs.Reader(log.directory)])

    assert asyncio.run(past()).tobytes() == events.tobytes()


def test_asyncio_loses_nothing_when_a_task_is_cancelled(log):
    async def main():
        reader, seen = log.follow(), []
        for number in range(1, 200):
            if number % 3 == 0:
                log.append(event_id=number)
            try:
                batch = await asyncio.wait_for(anext(reader), 0.0005 * (number % 5))
                seen.extend(batch["event_id"])
            except TimeoutError:
                pass
        while len(seen) < 66:
            seen.extend((await asyncio.wait_for(anext(reader), 120))["event_id"])
        return seen

    assert asyncio.run(main()) == list(range(3, 200, 3))


def test_asyncio_tasks_may_share_a_reader(log):
    """Each event goes to one of them, in order."""
    async def main():
        reader, seen = log.follow(), []

        async def take():
            async for batch in reader:
                seen.extend(batch["event_id"])

        tasks = [asyncio.create_task(take()) for _ in range(3)]
        for number in range(1, 100):
            log.append(event_id=number)
            await asyncio.sleep(0)
        log.close()
        await asyncio.gather(*tasks)
        return seen

    assert asyncio.run(main()) == list(range(1, 100))


def test_asyncio_ends_beside_a_follower_that_waits(log, capfd):
    async def main():
        reader = log.follow()
        task = asyncio.create_task(anext(reader))
        await asyncio.sleep(0.01)
        return reader, task

    reader, _ = asyncio.run(main())
    reader.close()
    assert capfd.readouterr().err == ""
