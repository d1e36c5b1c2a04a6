"""A writer to be killed: writer_child.py DIRECTORY ACK_FILE FIRST_ID HOW [KEY=VALUE...]

Appends until it is killed, and keeps the last acknowledged id in ACK_FILE. HOW is append, batch,
claim, or idle (one batch, then wait).
"""

import sys
import time
from pathlib import Path

from flashstrike_wal import Log
from support import Acknowledged, make_events


def main():
    directory, ack_file, first_id, how, *options = sys.argv[1:]
    acknowledged = Acknowledged(Path(ack_file))
    values = dict(option.split("=") for option in options)
    config = {key: int(value) if value.isdigit() else value for key, value in values.items()}
    wal = Log(directory, **config)
    next_id = int(first_id)
    while True:
        events = make_events(1000, next_id)
        if how in ("batch", "idle"):
            wal.append_batch(events)
            acknowledged.set(int(events["event_id"][-1]))
        for number in range(len(events) if how in ("append", "claim") else 0):
            event = events[number : number + 1]
            event_id = next_id + number
            if how == "append":
                wal.append(event)
            else:
                slot = wal.claim()
                slot.payload = event.tobytes()[8:]
                slot.commit(event_id)
            acknowledged.set(event_id)
        next_id += len(events)
        while how == "idle":
            time.sleep(1)


if __name__ == "__main__":
    main()
