"""Record requests, stop, and read them back: record.py DIRECTORY"""

import sys
import time

import numpy as np

import flashstrike_wal as fs


def main(directory: str) -> None:
    with fs.Log(directory, max_compressed_segments=fs.KEEP_ALL) as log:
        first = log.meta().last_event_id + 1
        # One request. When append has returned, it survives the death of this process.
        log.append(event_id=first, timestamp=time.time_ns(), price=10_050, quantity=3, side=1)
        # Many at once: an array of events, or columns.
        events = np.zeros(1000, fs.EVENT_DTYPE)
        events["event_id"] = np.arange(first + 1, first + 1001)
        log.append_batch(events)
        log.append_batch({"event_id": [first + 1001, first + 1002], "price": [10_040, 10_060]})
        # Before anybody is told that a request is accepted: a power cut must not take it.
        log.wait_durable(first + 1002, timeout=5)

    recorded = fs.read(directory, from_id=first)
    print(len(recorded), "events, the highest price", recorded["price"].max())


if __name__ == "__main__":
    main(sys.argv[1])
