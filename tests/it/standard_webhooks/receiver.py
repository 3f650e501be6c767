"""Takes deliveries of a hook and verifies them: `receiver.py BASE TOKEN`."""

import json
import queue
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

base, token = sys.argv[1:]
came = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        came.put((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def call(method, path, body=None):
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}/api/v1{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def refused(webhook, body, headers):
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


server = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/hook"
hook = call("POST", "/apps/default/hooks", {"url": address, "kinds": ["customer.*"]})
customer = call("POST", "/customers", {"name": "Jo", "email": "jo@example.com"})["id"]
call("POST", f"/customers/{customer}/suspend", {"reason": "tried out"})

webhook = Webhook(hook["secret"])
seen = []
for _ in range(2):
    headers, body = came.get(timeout=30)
    change = webhook.verify(body, headers)
    assert change["customer_id"] == customer, change
    assert headers["webhook-id"] == change["id"], headers
    assert refused(webhook, body.replace(b"customer.", b"Customer."), headers)
    seen.append(change["type"])
assert seen == ["customer.created", "customer.suspended"], seen

# Both secrets sign while one takes the place of the other.
rotated = call("POST", f"/apps/default/hooks/{hook['id']}/rotate-secret", {"overlap_seconds": 600})
call("POST", f"/customers/{customer}/reactivate", {})
headers, body = came.get(timeout=30)
for secret in (hook["secret"], rotated["secret"]):
    assert Webhook(secret).verify(body, headers)["type"] == "customer.reactivated"
other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
assert refused(Webhook(other), body, headers)
print("all done")
