"""Signed webhooks at a steady rate, each posted again until it gets 200, as a provider would; and what
the store must say of them in the end."""

import collections
import hashlib
import hmac
import http.client
import json
import queue
import random
import socket
import ssl
import threading
import time

EVENTS_EACH = 5
# Customers whose events are shuffled together.
BLOCK = 20
SENDERS = 48


def event(number, step, kind, at, thing):
    return {
        "id": f"evt_{number}_{step}", "object": "event", "api_version": "2025-11-17.clover", "created": at,
        "type": kind, "livemode": True, "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None}, "data": {"object": thing},
    }


def events_of(number, base):
    """A customer signs up, subscribes, its payment fails (not with every third), it moves, and in the end it
    pays again, has gone, or still does not pay."""
    account = f"cus_{number}"

    def customer(place):
        return {"id": account, "object": "customer", "email": f"c{number}@{place}.example.com", "name": "A Customer"}

    def subscription(status):
        return {
            "id": f"sub_{number}", "object": "subscription", "customer": account, "status": status,
            "cancel_at": None, "cancel_at_period_end": False, "canceled_at": None, "ended_at": None,
            "pause_collection": None,
            "items": {"object": "list", "has_more": False, "data": [{
                "id": "si_1", "object": "subscription_item", "quantity": 1,
                "current_period_start": base - 86_400, "current_period_end": base + 29 * 86_400,
                "price": {"id": "price_basic", "object": "price", "product": "prod_basic"}}]},
        }

    updated = "customer.subscription.updated"
    last = [(updated, "active"), ("customer.subscription.deleted", "canceled"), (updated, "unpaid")][number % 3]
    steps = [
        ("customer.created", customer("old")),
        ("customer.subscription.created", subscription("active")),
        (updated, subscription("active" if number % 3 == 2 else "past_due")),
        ("customer.updated", customer("new")),
        (last[0], subscription(last[1])),
    ]
    return [event(number, step, kind, base + step, thing) for step, (kind, thing) in enumerate(steps)]


class Connection(http.client.HTTPSConnection):
    """To an address, held to be the host that its certificate is for."""

    def __init__(self, address, tls):
        super().__init__("localhost", context=tls, timeout=10)
        self.address, self.tls = address, tls

    def connect(self):
        plain = socket.create_connection(self.address, self.timeout)
        self.sock = self.tls.wrap_socket(plain, server_hostname=self.host)


class Traffic:
    """`first` is the number of the first customer; no two loads share one."""

    def __init__(self, address, authority, secret, rate, seed, first):
        self.address, self.secret, self.rate, self.first = address, secret, rate, first
        self.tls = ssl.create_default_context(cafile=authority)
        self.random, self.work = random.Random(seed), queue.Queue()
        self.lock = threading.Lock()
        self.sent = self.first_try = 0
        # How often each answer but 200 came; 0 is none.
        self.refused = collections.Counter()
        self.acknowledged, self.slowest = set(), 0.0
        # When the last post was refused or came to nothing.
        self.last_bad = 0.0
        self.ending = threading.Event()

    def start(self):
        self.threads = [threading.Thread(target=self.send, daemon=True) for _ in range(SENDERS)]
        self.threads.append(threading.Thread(target=self.make, daemon=True))
        for it in self.threads:
            it.start()

    def finish(self, patience):
        """Makes no more events, and waits until all that were made are acknowledged; whether they are."""
        self.ending.set()
        until = time.monotonic() + patience
        for it in self.threads:
            it.join(max(0.0, until - time.monotonic()))
        return len(self.acknowledged) == self.sent

    def make(self):
        # In the past, since no event may come before it happened.
        base, next_at, number = int(time.time()) - 1_000, time.monotonic(), self.first
        while not self.ending.is_set():
            block = [it for n in range(number, number + BLOCK) for it in events_of(n, base)]
            number += BLOCK
            self.random.shuffle(block)
            for it in block:
                next_at += 1 / self.rate
                time.sleep(max(0.0, next_at - time.monotonic()))
                self.sent += 1
                self.work.put((it["id"], json.dumps(it).encode(), 0))
        self.customers = number - self.first
        self.made = True

    made = False

    def send(self):
        connection = None
        while not (self.made and len(self.acknowledged) == self.sent):
            try:
                name, body, attempt = self.work.get(timeout=0.2)
            except queue.Empty:
                continue
            begun = time.monotonic()
            try:
                if connection is None:
                    connection = Connection(self.address, self.tls)
                status = self.post(connection, body)
            except (OSError, http.client.HTTPException):
                status, connection = 0, None
            with self.lock:
                if status == 200:
                    self.acknowledged.add(name)
                    self.first_try += attempt == 0
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                    continue
                self.refused[status] += 1
                self.last_bad = time.monotonic()
            # One second more each time, five at most.
            threading.Timer(min(attempt + 1, 5), self.work.put, [(name, body, attempt + 1)]).start()

    def post(self, connection, body):
        at = int(time.time())
        digest = hmac.new(self.secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        connection.request("POST", "/webhooks/stripe", body, {
            "Content-Type": "application/json", "Stripe-Signature": f"t={at},v1={digest}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def status_of(number):
    return ["active", "frozen", "suspended"][number % 3]


def verdict(traffic, ask):
    """Holds the store against what was acknowledged. `ask` answers a statement with rows of texts."""
    numbers = range(traffic.first, traffic.first + traffic.customers)
    ours = {f"evt_{n}_{step}" for n in numbers for step in range(EVENTS_EACH)}
    outcomes = {it[0]: it[1] for it in ask("SELECT id, outcome FROM events")}
    lost = [it for it in traffic.acknowledged if outcomes.get(it, "pending") == "pending"]
    twice = ask(
        "SELECT event FROM audit WHERE event IS NOT NULL "
        "GROUP BY event, customer_id, operation, details::text HAVING count(*) > 1")
    doubled = sum(1 for it in twice if it[0].split("/")[-1] in ours)
    failed = sum(1 for it in ours if outcomes.get(it) == "failed")
    found = {it[0]: it[1:] for it in ask(
        "SELECT external_id, status, email FROM customers WHERE merged_into IS NULL AND deleted_at IS NULL")}
    wrong = []
    for n in numbers:
        wanted = [status_of(n), f"c{n}@new.example.com"]
        if all(f"evt_{n}_{step}" in traffic.acknowledged for step in range(EVENTS_EACH)):
            if found.get(f"stripe_cus_{n}") != wanted:
                wrong.append(f"cus_{n} is {found.get(f'stripe_cus_{n}')}, not {wanted}")
    return {"lost": len(lost), "doubled": doubled, "failed": failed, "wrong": wrong, "customers": len(numbers)}
