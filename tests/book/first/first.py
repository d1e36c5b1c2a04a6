"""An engine, as small as it can be: it knows the quantity that was ordered in all."""

import os
import signal
import sys

import numpy
import flashstrike_wal

directory, *crash = sys.argv[1:]

with flashstrike_wal.Log(directory) as log:         # recovers what an earlier process left
    quantity = flashstrike_wal.read(directory, from_id=1)["quantity"].sum()
    first = log.meta().last_event_id + 1
    print(f"replayed {first - 1} requests, quantity {quantity}", flush=True)

    events = numpy.zeros(1000, flashstrike_wal.EVENT_DTYPE)
    events["event_id"] = numpy.arange(first, first + 1000)     # must rise
    events["price"] = 10_050
    events["quantity"] = 100
    log.append_batch(events)                        # from here on all survive SIGKILL
    quantity += events["quantity"].sum()
    if crash:
        os.kill(os.getpid(), signal.SIGKILL)
    log.wait_durable(first + 999)                   # from here on a power cut too
print(f"recorded up to {first + 999}, quantity {quantity}")
