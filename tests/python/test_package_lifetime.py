"""Processes that end while the package is at work: none crashes, hangs, or harms the log."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import flashstrike_wal as fs
from support import HERE, seed

ENDINGS = re.findall(r'"(\w+)": ', (HERE / "lifetime_child.py").read_text().split("ENDINGS = ")[1])
#: Rounds of each ending: two, or 50 with FLASHSTRIKE_TORTURE=100.
ROUNDS = max(2, int(os.environ.get("FLASHSTRIKE_TORTURE") or 0) // 2)


def run(directory, number, ending):
    command = [sys.executable, "-X", "faulthandler", HERE / "lifetime_child.py", directory,
               str(number), ending]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired as hang:
        return f"seed {number}: it hangs: {hang.stderr}"
    said = done.stderr
    if ending == "by_an_exception":
        said = re.sub(r"Traceback.*?ZeroDivisionError[^\n]*\n", "", said, flags=re.S)
    if done.returncode != (1 if ending == "by_an_exception" else 0) or said or done.stdout:
        return f"seed {number}: it ended with {done.returncode}: {done.stdout}{done.stderr}"
    report = fs.verify(directory)
    ids = fs.read(directory)["event_id"]
    shut_down = report.newest == "on disk"
    if not report.ok or np.any(np.diff(ids) != 1) or shut_down != (ending != "at_once"):
        return f"seed {number}: {report}"
    # What it left in memory is there, and is cleared away.
    last = int(ids[-1]) if len(ids) else 0
    with fs.Log(directory, num_blocks=16, max_segments=fs.KEEP_ALL) as log:
        if log.meta().last_event_id != last:
            return f"seed {number}: {last} is not {log.meta()}"
    return None


@pytest.mark.parametrize("ending", ENDINGS)
def test_f16_a_process_ends(tmp_path, ending):
    first = int(seed(sum(map(ord, ending))))
    with ThreadPoolExecutor(2) as pool:
        wrong = [words for words in pool.map(
            lambda number: run(tmp_path / str(number), first + number, ending),
            range(ROUNDS)) if words]
    assert not wrong, "\n".join(wrong)
