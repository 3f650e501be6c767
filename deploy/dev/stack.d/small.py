"""Brokers that have to live within little memory, and how much they use."""

import contextlib
import re
import threading
import time
from pathlib import Path

import faults

MEGABYTE = 1_000_000
WATERMARK = re.compile(r"^(vm_memory_high_watermark\.absolute) = .*$", re.MULTILINE)


def size(text):
    """A number of bytes such as 150MB."""
    number = re.fullmatch(r"(\d+)MB", text)
    if not number:
        raise ValueError(text)
    return int(number[1]) * MEGABYTE


def prepare(folder, services, limit):
    """Gives each broker the settings of small nodes, with a watermark a little below the limit."""
    conf = folder / "rabbitmq/small-node.conf"
    watermark = f"\\1 = {limit * 14 // 15 // MEGABYTE}MB"
    conf.write_text(WATERMARK.sub(watermark, conf.read_text()))
    for name in faults.NODES:
        services[name].mounts += [
            (str(conf), "/etc/rabbitmq/conf.d/20-small-node.conf", False),
            (str(folder / "rabbitmq/small-node.env"), "/etc/rabbitmq/rabbitmq-env.conf", False),
        ]


class Watch(threading.Thread):
    """Looks every second how much each broker has used at most, since a killed one takes that along."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.now, self.most = {}, {}
        self.start()

    def run(self):
        while True:
            for name in faults.NODES:
                # It may end while it is looked at.
                with contextlib.suppress(OSError, TypeError, KeyError):
                    self.look(name)
            time.sleep(1)

    def look(self, name):
        text = Path(f"/proc/{self.cluster[name].child()}/status").read_text()
        lines = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        if lines["Name"] != "beam.smp":
            return
        now, most = (int(lines[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))
        self.now[name] = now
        self.most[name] = max(self.most.get(name, 0), most)

    def told(self):
        """What `ps` shows of each broker, and the most that it has shown."""
        each = (f"{name} {self.now[name] // MEGABYTE} MB, at most {self.most[name] // MEGABYTE} MB"
                for name in sorted(self.most))
        return f"memory: {'; '.join(each)}"

    def within(self, limit):
        return set(self.most) == set(faults.NODES) and max(self.most.values()) <= limit
