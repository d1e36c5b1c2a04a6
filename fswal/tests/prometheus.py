"""A real Prometheus scrapes `fswal exporter` with 20 logs and loads the alert rules of deploy/.

prometheus.py FSWAL          (wants: prometheus, promtool, and the package flashstrike_wal)

Twelve logs are open in four processes, five were shut down, two lost their process, one is not
there. One process is killed, and started again. All is asked of Prometheus' HTTP API. The rules
are those of deploy/, with every `for:` cut to two seconds. Takes half a minute.
"""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PER_ENGINE = 3
ENGINE = """
import signal, sys
import flashstrike_wal as fs
memory, end, *dirs = sys.argv[1:]
logs = [fs.Log(path, active_dir=memory, num_blocks=16) for path in dirs]
for n, log in enumerate(logs):
    begin = log.meta().last_event_id
    for event_id in range(begin + 1, begin + 101 + n):
        log.append(event_id=event_id, timestamp=event_id)
    log.sync()
print("recorded", flush=True)
if end == "wait":
    signal.pause()
for log in logs:
    log.close()
"""


class Engine:
    """A process with some logs, each with 100 events, and one more than the log before."""

    def __init__(self, folder, memory, names, end="wait"):
        self.names = names
        self.start = lambda: subprocess.Popen(
            [sys.executable, "-c", ENGINE, memory, end, *(str(folder / name) for name in names)],
            stdout=subprocess.PIPE, text=True)
        self.begin()

    def begin(self):
        self.process = self.start()
        assert self.process.stdout.readline() == "recorded\n"

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Prometheus:
    def __init__(self, folder, target):
        rules = (ROOT / "deploy/prometheus/rules.yml").read_text()
        rules = re.sub(r"(?m)^( *for: )[1-9]\d*[smh]$", r"\g<1>2s", rules)
        (folder / "rules.yml").write_text(rules)
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{json.dumps(str(folder / 'rules.yml'))}]\n"
            "scrape_configs:\n"
            f"  - {{job_name: wal, static_configs: [{{targets: ['{target}']}}]}}\n")
        self.folder = folder
        self.start()
        while not self.is_up() and "address already in use" in self.log.read_text():
            self.start()

    def start(self):
        self.address = f"127.0.0.1:{free_port()}"
        self.log = self.folder / "prometheus.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder / 'prometheus.yml'}",
                 f"--storage.tsdb.path={self.folder / 'data'}",
                 f"--web.listen-address={self.address}"], stdout=log, stderr=log)

    def is_up(self):
        """Whether it answers: it ends if somebody else has taken its port before it did."""
        while self.process.poll() is None:
            try:
                self.ask("status/buildinfo")
                return True
            except OSError:
                time.sleep(0.1)
        return False

    def ask(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=120) as answer:
            return json.load(answer)["data"]

    def values(self, metric):
        """By the label `log`."""
        found = self.ask("query", query=metric)["result"]
        return {one["metric"].get("log"): int(float(one["value"][1])) for one in found}

    def firing(self):
        alerts = self.ask("alerts")["alerts"]
        return {(alert["labels"]["alertname"], alert["labels"].get("log"))
                for alert in alerts if alert["state"] == "firing"}


def until(what, wanted, found):
    """Waits until what is found is what is wanted."""
    deadline = time.monotonic() + 120
    seen = None
    while time.monotonic() < deadline:
        try:
            seen = found()
        except OSError as error:
            seen = error
        if seen == wanted:
            print(f"{what}: as it should be", flush=True)
            return
        time.sleep(0.2)
    raise SystemExit(f"{what}: {seen}\nwanted: {wanted}")


def check(prometheus, engines, dead, folder):
    live = {name: 100 + n for engine in engines for n, name in enumerate(engine.names)}
    none = dict.fromkeys(dead, 0)
    lives = dict.fromkeys(live, 1) | none
    until("which are live", lives, lambda: prometheus.values("fswal_log_live"))
    until("which are found", dict.fromkeys(live, 1) | dead,
          lambda: prometheus.values("fswal_log_found"))
    until("durable event ids of the live", live,
          lambda: prometheus.values("fs_wal_durable_event_id"))
    until("generations", dict.fromkeys(live, 1), lambda: prometheus.values("fs_wal_generation"))
    until("free disk of what is there", {name for name in lives if name != "none"},
          lambda: set(prometheus.values("fswal_disk_free_bytes")))
    until("no label is a path", 0, lambda: len(prometheus.ask(
        "query", query=f'{{__name__=~".+",log=~".*{folder.name}.*"}}')["result"]))
    groups = prometheus.ask("rules")["groups"]
    until("every rule is evaluated", {"ok"}, lambda: {
        rule["health"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]})
    print(sum(len(group["rules"]) for group in groups), "rules")

    gone, names = engines[1], set(engines[1].names)
    closed = {("FsWalNotOpen", name) for name, is_there in dead.items() if is_there}
    closed |= {("FsWalNotFound", name) for name, is_there in dead.items() if not is_there}
    alarm = {(alert, name) for alert in ("FsWalNotReported", "FsWalNotOpen") for name in names}
    def of_gone():
        watched = ("FsWalNotReported", "FsWalNotOpen", "FsWalNotFound")
        return {alert for alert in prometheus.firing() if alert[0] in watched} - closed

    until("those that are not open alarm", closed, lambda: prometheus.firing() & closed)
    until("no other alarm", set(), of_gone)
    gone.end()
    until("a process that was killed", lives | dict.fromkeys(names, 0),
          lambda: prometheus.values("fswal_log_live"))
    until("its logs alarm, and no others", alarm, of_gone)
    gone.begin()
    until("it is started again", lives, lambda: prometheus.values("fswal_log_live"))
    until("which is another generation", dict.fromkeys(live, 1) | dict.fromkeys(names, 2),
          lambda: prometheus.values("fs_wal_generation"))
    until("their events go on", live | {name: 2 * live[name] for name in names},
          lambda: prometheus.values("fs_wal_durable_event_id"))
    until("the alarm ends", set(), of_gone)


def main():
    if not shutil.which("prometheus"):
        raise SystemExit("skipped: prometheus is not installed (Debian's package of that name)")
    with tempfile.TemporaryDirectory(prefix="fswal-prometheus-") as name, \
            tempfile.TemporaryDirectory(prefix="fswal-prometheus-", dir="/dev/shm") as memory:
        folder = Path(name)
        engines = [Engine(folder, memory, [f"live-{n}-{k}" for k in range(PER_ENGINE)])
                   for n in range(4)]
        shut = Engine(folder, memory, [f"shut-{k}" for k in range(5)], end="close")
        killed = Engine(folder, memory, [f"killed-{k}" for k in range(2)])
        killed.end()
        shut.process.wait()
        dead = dict.fromkeys(shut.names + killed.names, 1) | {"none": 0}
        names = [name for engine in engines for name in engine.names] + list(dead)
        assert len(names) == 20
        exporter = subprocess.Popen(
            [sys.argv[1], "exporter", "--listen", "127.0.0.1:0",
             *(f"{name}={folder / name}" for name in names)], stdout=subprocess.PIPE, text=True)
        line = exporter.stdout.readline()
        prometheus = Prometheus(folder, re.search(r"http://([^/]+)/", line)[1])
        try:
            check(prometheus, engines, dead, folder)
        finally:
            for process in [prometheus.process, exporter, *(one.process for one in engines)]:
                process.kill()
                process.wait()
    print("well")


if __name__ == "__main__":
    main()
