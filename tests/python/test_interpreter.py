"""F16: Python ends with an open log that has a log function, which the library's threads call."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = 15

BEGIN = """
import os, sys, threading
import numpy as np
import flashstrike_wal as fs
from flashstrike_wal._abi import LIB

told = []
wal = fs.Log(sys.argv[1], num_blocks=16, max_segments=1, max_compressed_segments=fs.KEEP_NONE,
             log=lambda level, text: told.append(text))
events = np.zeros(20 * 4096, fs.EVENT_DTYPE)
events["event_id"] = np.arange(1, len(events) + 1)
# Segments are being deleted, which is told, when the interpreter ends.
wal.append_batch(events)
"""

ENDS = {
    "at_the_end_of_the_program": "",
    "by_exit_in_a_function": "def end():\n    sys.exit(0)\nend()\n",
    "beside_a_thread_that_waits": """
waiter = threading.Thread(target=lambda: LIB_wait(), daemon=True)
def LIB_wait():
    LIB.fs_wal_wait_durable(wal._handle, 2**63, 2**64 - 1)
waiter.start()
""",
    "in_a_forked_child_and_then_here": """
child = os.fork()
if child == 0:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
    "with_the_log_gone_out_of_scope": "del wal\n",
}


@pytest.mark.parametrize("end", ENDS)
def test_f16_python_ends_with_an_open_log(tmp_path, end):
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parent))
    for run in range(RUNS if end == "at_the_end_of_the_program" else 3):
        program = [sys.executable, "-c", BEGIN + ENDS[end], str(tmp_path / f"log-{run}")]
        done = subprocess.run(program, env=environment, capture_output=True, timeout=120)
        assert done.returncode == 0, (run, done.returncode, done.stderr.decode()[-2000:])
        assert done.stderr == b"", done.stderr.decode()[-2000:]
