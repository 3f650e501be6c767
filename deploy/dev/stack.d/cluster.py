"""The services of compose.yaml as machines: their networks, files and order."""

import os
import subprocess
import time
from pathlib import Path

from compose import Wrong
from machine import BRIDGE, HERE, Machine, run

# What the images bring along and the file does not say: entry point, user, settings, a folder to start in.
PATH = "/usr/local/bin:/usr/lib/rabbitmq/bin:/usr/bin:/bin:/usr/sbin:/sbin"


class Cluster:
    def __init__(self, services, secrets, folder, tollgate, image):
        self.services, self.secrets, self.folder = services, secrets, folder
        self.tollgate, self.image = tollgate, image
        numbered = enumerate(sorted(services.values(), key=lambda it: it.name), start=11)
        self.machines = {it.name: Machine(self, it, number) for number, it in numbered}
        self.done = set()
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", "10.77.0.1/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        for it in self.machines.values():
            it.wire()
        hosts = ["127.0.0.1 localhost"]
        for it in self.machines.values():
            hosts += [f"{it.address} {name}" for name in [it.name, *it.service.aliases]]
        (folder / "hosts").write_text("\n".join(hosts) + "\n")
        # One name may stand for several addresses, as in the containers' DNS.
        (folder / "host.conf").write_text("multi on\n")
        (folder / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")

    def __getitem__(self, name):
        return self.machines[name]

    def is_ours(self, service):
        return service.image == self.services["api"].image

    def plan(self, machine):
        """What `inside.py` has to know."""
        service, ours = machine.service, self.is_ours(machine.service)
        image = str(self.image) if ours and self.image else "/"
        environment = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
        mounts = [(str(self.folder / it), f"/etc/{it}", False) for it in ("hosts", "host.conf", "nsswitch.conf")]
        for source, target, writable in service.mounts:
            if "/" not in source:
                source = str(self.folder / "volumes" / source)
                Path(source).mkdir(parents=True, exist_ok=True)
            mounts.append((source, target, writable))
        for name in service.secrets:
            mounts.append((str(self.secrets[name]), f"/run/secrets/{name}", False))
        if ours:
            if self.image is None:
                mounts.append((str(self.tollgate), "/usr/local/bin/tollgate", False))
            entry, user, workdir = ["tollgate"], 10001, "/"
            environment |= {"TOLLGATE_LISTEN": "0.0.0.0:8080", "TOLLGATE_DATA_DIR": "/var/lib/tollgate"}
        else:
            name = service.image.split(":")[0].split("/")[-1]
            mounts.append((str(HERE / "entry" / name), "/usr/local/bin/docker-entrypoint.sh", False))
            entry, user, workdir = ["docker-entrypoint.sh"], None, "/"
            if name == "rabbitmq":
                environment["HOME"] = "/var/lib/rabbitmq"
                # Another system's RabbitMQ, as for the tests.
                image = os.environ.get("TOLLGATE_TEST_RABBITMQ_ROOT", image)
        return {
            "name": machine.name, "folder": str(machine.folder), "mounts": mounts,
            "image": image,
            "environment": environment | service.environment, "command": [*entry, *service.command],
            "user": user, "workdir": workdir, "read_only": service.read_only,
            "capabilities": service.capabilities, "sysctls": service.sysctls,
        }

    def up(self, patience=180):
        """Starts everything in the order that the file asks for."""
        until, left = time.monotonic() + patience, dict(self.machines)
        while left:
            for name, machine in list(left.items()):
                if all(self.meets(*it) for it in machine.service.after.items()):
                    machine.start()
                    del left[name]
            if time.monotonic() > until:
                raise Wrong(f"{sorted(left)} still wait\n{self.tails()}")
            time.sleep(0.2)
        self.settle(until)

    def settle(self, until):
        """Waits until all that have a check pass it."""
        for machine in self.machines.values():
            while machine.wanted and machine.service.health and not machine.healthy():
                self.look()
                if time.monotonic() > until:
                    raise Wrong(f"{machine.name} does not become healthy\n{machine.tail()}")
                time.sleep(0.2)

    def meets(self, name, condition):
        machine = self.machines[name]
        if machine.process is None:
            return False
        if condition == "service_completed_successfully":
            if machine.process.poll() is None:
                return False
            if machine.process.returncode != 0:
                raise Wrong(f"{name} failed\n{machine.tail()}")
            machine.wanted = False
            return True
        if condition == "service_healthy":
            self.look()
            return machine.healthy()
        return condition == "service_started"

    def look(self):
        """Starts again what has ended and may not end, as `restart` asks for."""
        for machine in self.machines.values():
            if machine.wanted and machine.process.poll() is not None and machine.service.restart:
                machine.tidy()
                machine.start()

    def down(self):
        """Ends everything: what depends on others before them."""
        order, problems = [], []
        while len(order) < len(self.machines):
            for name in self.machines:
                needed_by = [it.name for it in self.services.values() if name in it.after]
                if name not in order and all(it in order for it in needed_by):
                    order.append(name)
        for name in order:
            try:
                self.machines[name].stop()
            except Wrong as problem:
                problems.append(str(problem))
        return problems

    def destroy(self):
        for machine in self.machines.values():
            machine.destroy()
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)

    def tails(self):
        return "\n".join(f"{it.name}:\n{it.tail(5)}" for it in self.machines.values() if it.process)
