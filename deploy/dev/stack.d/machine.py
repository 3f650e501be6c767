"""Runs services without containers: each in name spaces of its own for network, mounts, host name and
processes, on a root folder that nobody else sees. Everything is below one folder and ends with us."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from compose import Wrong

HERE = Path(__file__).resolve().parent
BRIDGE = "tollgate0"


def run(*command):
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        raise Wrong(f"{' '.join(command)}: {told.stderr.strip()}")
    return told


class Machine:
    """One service, and the process that it is now."""

    def __init__(self, cluster, service, number):
        self.cluster, self.service = cluster, service
        self.name, self.number = service.name, number
        self.address = f"10.77.0.{number}"
        self.folder = cluster.folder / service.name
        self.process = self.log = self.network = None
        self.wanted = False
        # What its check said last.
        self.check = ""

    def wire(self):
        """Makes its network, which stays while the service comes and goes, and lays a cable to the bridge."""
        self.network = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], start_new_session=True)
        pid, cable = self.network.pid, f"tg{self.number}"
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{pid}/ns/net") == ours:
            time.sleep(0.01)
        run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        run("ip", "link", "set", cable, "master", BRIDGE, "up")
        self.nsenter("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.nsenter("ip", "link", "set", "eth0", "up")
        self.nsenter("ip", "link", "set", "lo", "up")

    def nsenter(self, *command):
        return run("nsenter", f"--net=/proc/{self.network.pid}/ns/net", *command)

    def start(self):
        for part in ("root", "layer/upper", "layer/work"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        plan = self.cluster.plan(self)
        (self.folder / "plan.json").write_text(json.dumps(plan))
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/proc/{self.network.pid}/ns/net",
             "unshare", "--mount", "--uts", "--pid", "--fork",
             "/usr/bin/python3", str(HERE / "inside.py"), str(self.folder / "plan.json")],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
        )
        self.wanted = True

    def child(self):
        """The process that is the service's first; None if it has ended."""
        if self.process is None or self.process.poll() is not None:
            return None
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        try:
            children = Path(path).read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def execute(self, command, timeout=60, stdin=None):
        """Runs a command beside the service, as `docker exec` would; what it answered."""
        child = self.child()
        if child is None:
            raise Wrong(f"{self.name} does not run")
        plan = self.cluster.plan(self)
        pairs = [f"{key}={value}" for key, value in plan["environment"].items()]
        user = [] if plan["user"] is None else [f"--setuid={plan['user']}", f"--setgid={plan['user']}"]
        enter = ["nsenter", f"--target={child}", "--net", "--mount", "--uts", "--pid", "--root", *user]
        return subprocess.run([*enter, "env", "--chdir=/", "-i", *pairs, *command], capture_output=True, text=True,
                              timeout=timeout, check=False, input=stdin)

    def kill(self):
        """Ends it at once. Its machine goes on, so whoever connects is refused."""
        self.wanted = False
        # The first process of a name space takes all others with it. It may not have been made yet.
        # Not by `--kill-child`, which a process that changes its user escapes.
        while self.process and self.process.poll() is None:
            child = self.child()
            os.kill(child or self.process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        self.tidy()

    def stop(self):
        """Asks it to end, and waits as long as it may take."""
        self.wanted = False
        if child := self.child():
            os.kill(child, signal.SIGTERM)
            try:
                self.process.wait(self.service.grace)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Wrong(f"{self.name} did not end within {self.service.grace} s") from None
        self.tidy()

    def tidy(self):
        if self.log:
            self.log.close()
        subprocess.run(["rm", "-rf", str(self.folder / "layer")], check=False)

    def destroy(self):
        self.kill()
        if self.network:
            self.network.kill()
            self.network.wait()

    def healthy(self):
        health = self.service.health
        try:
            told = self.execute(health.command, health.timeout)
        except (subprocess.TimeoutExpired, Wrong) as problem:
            self.check = str(problem)
            return False
        self.check = told.stdout + told.stderr
        return told.returncode == 0

    def tail(self, lines=15):
        path = self.folder / "log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(f"    {it}" for it in [*text.splitlines()[-lines:], *self.check.splitlines()[-5:]])
