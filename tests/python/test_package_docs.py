"""docs/python.md and docs/start_python.md: their Python runs, and prints what they say.

FLASHSTRIKE_WRITE_DOCS=1 writes the outputs of docs/python.md anew.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys

from support import ROOT

PAGE = ROOT / "docs" / "python.md"
BLOCK = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```\n", re.S)


def test_the_page_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, names = PAGE.read_text(), {}

    def run(block):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block[1], "docs/python.md", "exec"), names)
        return f"```python\n{block[1]}```\n\n```text\n{printed.getvalue()}```\n"

    assert len(BLOCK.findall(text)) == text.count("```python")
    made = BLOCK.sub(run, text)
    if os.environ.get("FLASHSTRIKE_WRITE_DOCS"):
        PAGE.write_text(made)
    assert made == PAGE.read_text(), "run it with FLASHSTRIKE_WRITE_DOCS=1, and look at the change"


def test_the_first_program(tmp_path):
    """docs/start_python.md: its commands print what it says."""
    shutil.copytree(ROOT / "tests" / "book" / "first", tmp_path / "first")
    book = ROOT / "tests" / "book"
    done = subprocess.run([sys.executable, book / "console.py", book / "start_python.console",
                           f"python3={sys.executable} -W error"], capture_output=True, text=True,
                          cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_examples(tmp_path):
    examples = ROOT / "python" / "examples"

    def run(name, *arguments):
        done = subprocess.run([sys.executable, "-W", "error", examples / name, *arguments],
                              capture_output=True, text=True, check=False)
        assert done.stderr == "", done.stderr
        return done.stdout

    wal, out = tmp_path / "wal", tmp_path / "day.parquet"
    assert run("record.py", wal) == "1003 events, the highest price 10060\n"
    assert run("record.py", wal) == "1003 events, the highest price 10060\n"
    assert run("parquet.py", wal, "1970-01-01", out).endswith(" events\n") and out.stat().st_size
    follower = subprocess.Popen([sys.executable, examples / "follow.py", wal, "mine"],
                                stdout=subprocess.PIPE, text=True)
    assert follower.stdout.readline() == "2006 events, up to 2006\n"
    follower.terminate()
    follower.communicate()
