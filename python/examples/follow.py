"""Follow a log beside its writer, in an event loop: follow.py DIRECTORY [NAME]

With a NAME it goes on where it stopped, and what it has not seen yet is not deleted.
"""

import asyncio
import sys

import flashstrike_wal as fs


async def follow(directory: str, name: str | None) -> None:
    with fs.Reader(directory, follow=True, durable_only=True, hold=name) as reader:
        async for batch in reader:
            print(f"{len(batch)} events, up to {batch['event_id'][-1]}", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(follow(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
    except KeyboardInterrupt:
        pass
