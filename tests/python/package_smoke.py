"""What every Python must do with the wheel alone: package_smoke.py DIRECTORY"""

import asyncio
import logging
import os
import sys

import numpy as np

import flashstrike_wal as fs


async def past(directory):
    return [batch async for batch in fs.Reader(directory)]


def main():
    directory, lines = sys.argv[1], []
    assert "FLASHSTRIKE_WAL_LIB" not in os.environ and "site-packages" in fs.__file__
    assert fs.library_version() == fs.__version__
    log = fs.Log(directory, num_blocks=16, log=lambda *line: lines.append(line))
    events = np.zeros(10_000, fs.EVENT_DTYPE)
    events["event_id"] = np.arange(1, 10_001)
    assert log.append_batch(events) == 10_000
    log.append(event_id=10_001, price=-5, side=1)
    log.sync()
    assert log.durable().last_event_id == 10_001
    log.close()
    batches = asyncio.run(past(directory))
    assert sum(map(len, batches)) == 10_001
    found = fs.read(directory)
    assert found[:-1].tobytes() == events.tobytes() and found["price"][-1] == -5
    assert len(found.__arrow_c_array__()) == 2 and found.__arrow_c_stream__()
    columns = fs.read(directory, 5, 9, columns=["event_id", "reserved"])
    assert columns["event_id"].tolist() == [5, 6, 7, 8, 9] and columns["reserved"].shape == (5, 21)
    assert fs.verify(directory).ok and fs.status(directory).state == "closed"
    assert any(level == logging.INFO and "shut down" in text for level, text in lines)
    print("well")
    return fs.Log(directory, num_blocks=16, log=lambda *line: lines.append(line))


left_open = main()
left_open.append(event_id=20_000)
