"""deploy/dev/stack: compose.yaml without containers. See there."""

import argparse
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import compose
import faults
import small
from cluster import Cluster
from compose import Wrong
from traffic import Connection, Traffic, verdict

ROOT = Path(__file__).resolve().parents[3]


def smoke(stack):
    """What somebody would try first, through nginx; returns what was seen."""
    said = []
    for path, wanted in [("/healthz", 404), ("/metrics", 404), ("/api/v1/customers", 401), ("/openapi.json", 200),
                         ("/access?package=acme/forms", 401)]:
        status, _ = stack.get(path)
        said.append(f"GET {path}: {status}")
        if status != wanted:
            raise Wrong(f"GET {path} is {status}, not {wanted}")
    traffic = stack.traffic(rate=50)
    traffic.start()
    time.sleep(2)
    if not traffic.finish(30):
        raise Wrong(f"{traffic.sent} webhooks were sent, {len(traffic.acknowledged)} acknowledged")
    found = stack.settled(traffic)
    said.append(f"{traffic.sent} webhooks: {found}")
    if found["lost"] or found["doubled"] or found["failed"] or found["wrong"]:
        raise Wrong(f"of {traffic.sent} webhooks: {found}")
    status, body = stack.get("/api/v1/customers?page_size=1", stack.token)
    said.append(f"customers in the API: {json.loads(body)['meta']['total']}")
    # What deploy/README.md tells to try.
    for command in ("trigger stripe customer.created --url http://receiver-1:8080", "events list"):
        told = stack.cluster["api"].execute(["tollgate", *command.split()])
        if told.returncode != 0:
            raise Wrong(f"tollgate {command}: {told.stdout}{told.stderr}")
        said.append(f"tollgate {command}: {told.stdout.splitlines()[0]}")
    members = stack.members()
    said.append(f"members of the work queue: {', '.join(members)}")
    if len(members) != 3:
        raise Wrong(f"the work queue has the members {members}")
    said.append(stack.prometheus())
    return said


class Stack:
    """The cluster, and what a client of it needs."""

    def __init__(self, cluster, secrets):
        self.cluster, self.secrets = cluster, secrets
        self.token = secrets["admin-token"].read_text()
        self.address = (cluster["nginx"].address, 443)
        self.first = 0
        self.authority = str(secrets["tls-certificate"].parent / "authority.pem")

    def get(self, path, token=None):
        connection = Connection(self.address, ssl.create_default_context(cafile=self.authority))
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def traffic(self, rate, seed=1):
        secret = self.secrets["stripe-webhook-secret"].read_text()
        traffic = Traffic(self.address, self.authority, secret, rate, seed, self.first)
        self.first += 100_000
        return traffic

    def ask(self, statement):
        password = self.secrets["postgres-password"].read_text()
        command = ["psql", "-h", "127.0.0.1", "-U", "tollgate", "-d", "tollgate", "-AtF", "\t", "-c", statement]
        told = self.cluster["postgres"].execute(["env", f"PGPASSWORD={password}", *command], timeout=30)
        if told.returncode != 0:
            raise Wrong(f"PostgreSQL: {told.stderr}")
        return [line.split("\t") for line in told.stdout.splitlines()]

    def settled(self, traffic, patience=90):
        """The verdict as soon as nothing is missing, or after the patience."""
        until = time.monotonic() + patience
        while True:
            found = verdict(traffic, self.ask)
            if not found["lost"] and not found["wrong"] or time.monotonic() > until:
                return found
            time.sleep(0.5)

    def figure(self, machine, name):
        """The sum of a figure's series in one process; 0 if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.cluster[machine].address}:9090/metrics", timeout=3) as answer:
                text = answer.read().decode()
        except OSError:
            return 0
        lines = (it for it in text.splitlines() if it.startswith((f"{name} ", f"{name}{{")))
        return sum(float(it.rsplit(" ", 1)[1]) for it in lines)

    def prometheus(self):
        """Waits until every target was asked, every rule was judged without an error, and each figure in it is one
        that somebody serves."""
        def ask(path):
            with urllib.request.urlopen(f"http://{self.cluster['prometheus'].address}:9090/api/v1/{path}") as answer:
                return json.load(answer)["data"]

        until = time.monotonic() + 60
        while True:
            targets, away, rules = [], ["Prometheus itself"], []
            # It may not listen yet.
            with contextlib.suppress(OSError):
                targets = ask("targets")["activeTargets"]
                away = [it["scrapeUrl"] for it in targets if it["health"] != "up"]
                rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
            spoken_of = {name for it in rules for name in re.findall(r"\b(?:tollgate|rabbitmq)_[a-z_]+", it["query"])}
            # What counts events is served from the first event on, which the last look may have been before. These
            # are served once something was compared, or asked.
            late = {"tollgate_reconcile_drift"}
            unknown = spoken_of - set(ask("label/__name__/values")) - late if rules else spoken_of
            if not away and rules and not unknown and all(it["health"] == "ok" for it in rules):
                break
            if time.monotonic() > until:
                raise Wrong(f"Prometheus: away are {away}; rules {[(it['name'], it['health']) for it in rules]}; "
                            f"nobody serves {sorted(unknown)}")
            time.sleep(1)
        return f"Prometheus: {len(targets)} targets are up, {len(rules)} rules are judged, {len(spoken_of)} figures are known"

    def broker(self):
        """A node that runs."""
        nodes = [it for name, it in self.cluster.machines.items() if name.startswith("rabbitmq-")]
        return next(it for it in nodes if it.child() is not None)

    def members(self):
        told = self.broker().execute(
            ["rabbitmqctl", "-q", "list_queues", "-p", "tollgate", "name", "members", "--formatter", "json"])
        rows = json.loads(told.stdout)
        queue = next(it for it in rows if it["name"] == "tollgate.work.2")
        return sorted(it.removeprefix("rabbit@") for it in queue["members"])


def main():
    parser = argparse.ArgumentParser(prog="deploy/dev/stack", description=__doc__)
    parser.add_argument("--folder", required=True, type=Path, help="an empty one, for everything")
    parser.add_argument("--tollgate", required=True, type=Path, help="the program that stands in for the image")
    parser.add_argument("--image", type=Path, help="the unpacked image: what runs is the program in it")
    parser.add_argument("--faults", action="store_true", help="the faults of a cluster of three brokers")
    parser.add_argument("--rate", type=int, default=100, help="webhooks a second during a fault")
    parser.add_argument("--memory", type=small.size, metavar="150MB", help="what each broker may use, at least 150MB")
    parser.add_argument("names", nargs="*", help="of faults, all without any")
    arguments = parser.parse_args()
    folder, status, cluster = arguments.folder, 1, None
    try:
        # A copy of what compose.yaml needs, so that no secret is made in the working tree.
        for part in ("compose", "rabbitmq", "prometheus"):
            subprocess.run(["cp", "-r", str(ROOT / "deploy" / part), str(folder / part)], check=True)
        subprocess.run(["rm", "-rf", str(folder / "compose/secrets")], check=True)
        subprocess.run([str(folder / "compose/setup")], check=True, stdout=subprocess.DEVNULL)
        mapping = json.dumps({"price_basic": ["acme/forms"]})
        environment = os.environ | {"STRIPE_PRICE_MAPPING": mapping}
        services, secrets = compose.load(folder / "compose/compose.yaml", environment)
        if arguments.memory:
            small.prepare(folder, services, arguments.memory)
        (folder / "run").mkdir()
        cluster = Cluster(services, secrets, folder / "run", arguments.tollgate, arguments.image)
        watch = small.Watch(cluster)
        begun = time.monotonic()
        cluster.up()
        print(f"up after {time.monotonic() - begun:.0f} s: {', '.join(sorted(cluster.machines))}", flush=True)
        stack = Stack(cluster, secrets)
        print("\n".join([*smoke(stack), watch.told()]), flush=True)
        right = faults.run(stack, arguments.names, arguments.rate) if arguments.faults else True
        print(watch.told())
        if arguments.memory and not watch.within(arguments.memory):
            print(f"a broker used more than {arguments.memory // small.MEGABYTE} MB")
            right = False
        for problem in cluster.down():
            print(problem)
            right = False
        status = 0 if right else 1
    except Wrong as problem:
        print(f"stack: {problem}", file=sys.stderr)
    finally:
        if cluster:
            cluster.destroy()
        if status != 0 and (logs := os.environ.get("KEEP_LOGS")):
            for log in folder.glob("run/*/log"):
                shutil.copy(log, Path(logs) / f"{log.parent.name}.log")
    return status


sys.exit(main())
