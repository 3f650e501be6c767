"""What may happen to a cluster of three brokers, under load."""

import time

from compose import Wrong

NODES = ("rabbitmq-1", "rabbitmq-2", "rabbitmq-3")


def leader(stack):
    """The node that leads the work queue."""
    told = stack.broker().execute(
        ["rabbitmqctl", "-q", "list_queues", "-p", "tollgate", "name", "leader", "--no-table-headers"])
    for line in told.stdout.splitlines():
        name, *node = line.split("\t")
        if name == "tollgate.work.2" and node:
            return node[0].removeprefix("rabbit@")
    raise Wrong(f"the work queue has no leader: {told.stdout} {told.stderr}")


def nothing(stack):
    time.sleep(10)


def kill(stack, *names):
    for name in names:
        stack.cluster[name].kill()
    time.sleep(15)
    for name in names:
        stack.cluster[name].start()


def follower_killed(stack):
    kill(stack, next(it for it in NODES if it != leader(stack)))


def leader_killed(stack):
    kill(stack, leader(stack))


def two_killed(stack):
    first = leader(stack)
    kill(stack, first, next(it for it in NODES if it != first))


def all_killed(stack):
    kill(stack, *NODES)


def one_after_the_other(stack):
    for name in NODES:
        stack.cluster[name].stop()
        stack.cluster[name].start()
        stack.cluster.settle(time.monotonic() + 90)


def cut(stack, name, ports):
    """Drops what the others send to a node, and what it sends to them, on these ports or on all."""
    match = ["-p", "tcp", "-m", "multiport", "--ports", ports] if ports else []
    rules = []
    for other in stack.cluster.machines.values():
        if other.name != name and (not ports or other.name in NODES):
            rules += [["INPUT", "-s", other.address], ["OUTPUT", "-d", other.address]]
    if not ports:
        # Us too: a machine that has lost its network answers nobody.
        rules += [["INPUT", "-s", "10.77.0.1"], ["OUTPUT", "-d", "10.77.0.1"]]
    for rule in rules:
        stack.cluster[name].nsenter("iptables", "-w", "-A", *rule, *match, "-j", "DROP")
    # Longer than the nodes need to notice it (net_ticktime), and than the minority needs to pause.
    time.sleep(40)
    stack.cluster[name].nsenter("iptables", "-w", "-F")


def leader_parted(stack):
    cut(stack, leader(stack), "4369,25672")


def follower_parted(stack):
    cut(stack, next(it for it in NODES if it != leader(stack)), "4369,25672")


def leader_silent(stack):
    cut(stack, leader(stack), None)


def first_silent(stack):
    """Of several addresses the first is the one that all are connected to, and that all try again first."""
    cut(stack, NODES[0], None)


ALL = {
    "nothing happens": nothing,
    "a follower is killed": follower_killed,
    "the leader is killed": leader_killed,
    "two of three are killed": two_killed,
    "all three are killed": all_killed,
    "one after the other is restarted": one_after_the_other,
    "a follower is parted from the other nodes": follower_parted,
    "the leader is parted from the other nodes": leader_parted,
    "the leader's machine falls silent": leader_silent,
    "the first address falls silent": first_silent,
}


def run(stack, names, rate):
    """The table; whether all of it is right."""
    for name in names:
        if name not in ALL:
            raise Wrong(f"no fault is named {name!r}: {', '.join(ALL)}")
    print(f"\n{'fault':<44}{'sent':>6}{'acked':>7}{'first':>7}{'spooled':>9}{'lost':>6}{'doubled':>9}{'failed':>8}"
          f"{'wrong':>9}{'slowest':>9}{'normal':>9}", flush=True)
    right = True
    for name in names or ALL:
        right = row(stack, name, rate) and right
    return right


def spooled(stack):
    return sum(stack.figure(it, "tollgate_spooled_total") for it in ("receiver-1", "receiver-2"))


def row(stack, name, rate):
    before, traffic = spooled(stack), stack.traffic(rate)
    traffic.start()
    time.sleep(4)
    ALL[name](stack)
    over = time.monotonic()
    stack.cluster.settle(time.monotonic() + 120)
    normal = until_normal(stack, traffic, over)
    all_acknowledged = traffic.finish(60)
    found = stack.settled(traffic)
    wrong = f"{len(found['wrong'])}/{found['customers']}"
    fine = all_acknowledged and normal is not None and not (
        found["lost"] or found["doubled"] or found["failed"] or found["wrong"])
    shown = "never" if normal is None else f"{normal:.0f} s"
    print(f"{name:<44}{traffic.sent:>6}{len(traffic.acknowledged):>7}{traffic.first_try:>7}"
          f"{spooled(stack) - before:>9.0f}{found['lost']:>6}{found['doubled']:>9}{found['failed']:>8}{wrong:>9}"
          f"{traffic.slowest:>8.1f}s{shown:>9}{'' if fine else '  NOT RIGHT'}", flush=True)
    if traffic.refused:
        said = ", ".join(f"{count} times {status or 'no answer'}" for status, count in sorted(traffic.refused.items()))
        print(f"    not acknowledged at first: {said}")
    for it in found["wrong"][:3]:
        print(f"    {it}")
    return fine


def until_normal(stack, traffic, over, patience=150):
    """Seconds from the end of the fault until webhooks were acknowledged at the first try, none of them
    spooled, and none was without an outcome for longer than two seconds."""
    waits = "SELECT count(*) FROM messages"
    while time.monotonic() - over < patience:
        seen, begun = spooled(stack), time.monotonic()
        known = set(traffic.acknowledged)
        time.sleep(2)
        outcomes = {it[0] for it in stack.ask("SELECT id FROM events WHERE outcome <> 'pending'")}
        calm = traffic.last_bad < begun and spooled(stack) == seen
        if calm and known <= outcomes and stack.ask(waits) == [["0"]]:
            return max(0.0, begun - over)
    return None
