"""A process that ends while the package is at work: lifetime_child.py DIRECTORY SEED ENDING

What is at work is chosen by the seed: threads that append, follow, wait, sync, read and close, a
log function, Arrow data that somebody still has. ENDINGS are the ways to end.
"""

import asyncio
import os
import random
import signal
import sys
import threading
import time
import warnings

import numpy as np

import flashstrike_wal as fs

DIRECTORY, SEED, ENDING = sys.argv[1], int(sys.argv[2]), sys.argv[3]
CHOOSE = random.Random(SEED)
KEPT = []  # what is still there when the interpreter ends


def quietly(function):
    """Of what the library says, only that it is closed, or that a writer was faster, is right."""
    def run():
        try:
            function()
        except (fs.ClosedError, fs.GapError):
            pass
    return run


def appends(log):
    lock, last = threading.Lock(), [0]

    def append():
        while True:
            with lock:
                events = np.zeros(CHOOSE.choice((1, 100, 5000)), fs.EVENT_DTYPE)
                events["event_id"] = np.arange(last[0] + 1, last[0] + 1 + len(events))
                last[0] += log.append_batch(events)
    return append


def workers(log):
    """Functions that work until the log is closed."""
    reader, append = fs.Reader(DIRECTORY, follow=True), appends(log)

    def follow():
        for batch in log.follow():
            KEPT[:] = [batch, *KEPT[:20]]

    def shares_a_reader():
        while True:
            CHOOSE.choice((reader.read, lambda: reader.seek(0), reader.metrics))()

    def waits():
        log.wait_durable(2**63)

    def syncs():
        while True:
            log.sync()

    def looks():
        while True:
            log.meta(), log.durable(), log.metrics(), log.metrics_prometheus()

    def replays():
        while not log.closed:
            KEPT[:] = [fs.read(DIRECTORY, columns=["price", "reserved"]).__arrow_c_stream__(),
                       fs.read(DIRECTORY).__arrow_c_array__(), *KEPT[:20]]

    def loops():
        async def follow_all():
            async for batch in log.follow():
                KEPT[:] = [batch, *KEPT[:20]]
        asyncio.run(follow_all())

    return [append, append, follow, shares_a_reader, waits, syncs, looks, replays, loops]


def ends_beside_asyncio(log):
    async def main():
        reader = log.follow()
        KEPT.append(reader)
        task = asyncio.create_task(anext(reader))
        await asyncio.sleep(0.01 * CHOOSE.random())
        KEPT.append(task)
        sys.exit(0)
    asyncio.run(main())


def forks(log):
    for _ in range(3):
        child = os.fork()
        if child == 0:
            # A child of a process with threads: it reads, tries the parent's log, and ends.
            quietly(lambda: fs.read(DIRECTORY, threads=1))()
            try:
                log.append(event_id=2**40)
            except fs.ClosedError:
                sys.exit(0)
            os._exit(3)
        assert os.waitpid(child, 0)[1] == 0


def closes(log):
    threads = [threading.Thread(target=log.close) for _ in range(3)]
    for thread in threads:
        thread.start()
    log.close()


def closes_and_opens(log):
    """While others use the handle that was."""
    log.close()
    for _ in range(3):
        with fs.Log(DIRECTORY, num_blocks=16):
            time.sleep(0.005)


def forgets(log):
    cycle = [log]
    cycle.append(cycle)


def interrupted(_log):
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(0))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(30)


ENDINGS = {
    "at_the_end": lambda _: None, "by_exit": lambda _: sys.exit(0),
    "by_an_exception": lambda _: 1 // 0, "at_once": lambda _: os._exit(0),
    "beside_asyncio": ends_beside_asyncio, "after_forks": forks, "closed": closes,
    "closed_and_opened": closes_and_opens, "forgotten": forgets, "in_a_handler": interrupted,
}


def main():
    warnings.simplefilter("ignore")
    function = CHOOSE.choice((None, lambda *line: KEPT.append(line), lambda *_: time.sleep(0.001)))
    log = fs.Log(DIRECTORY, num_blocks=16, max_segments=CHOOSE.choice((1, 4)), log=function,
                 max_compressed_segments=CHOOSE.choice((fs.KEEP_NONE, 2)))
    for work in CHOOSE.sample(workers(log), CHOOSE.randrange(1, 5)):
        threading.Thread(target=quietly(work), daemon=True).start()
    time.sleep(CHOOSE.random() * 0.05)
    ENDINGS[ENDING](log)


if __name__ == "__main__":
    main()
