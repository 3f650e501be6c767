"""What a shop does with the client that is generated from the description: `shop.py BASE TOKEN`."""

import datetime
import sys
from http import HTTPStatus

from client import AuthenticatedClient
from client.api.customers import customers_create, customers_list, customers_show
from client.api.licenses import licenses_create, licenses_list, licenses_validate
from client.api.plans import plans_list, plans_put, plans_show
from client.models import (
    CustomerBody,
    CustomerBodyMetadataType0,
    GrantBody,
    KeyBody,
    LicenseBody,
    PlanBody,
    PlansPutProvider,
    PlansShowProvider,
    Problem,
)

base, token = sys.argv[1:]
# A status that is not described raises.
client = AuthenticatedClient(base_url=base, token=token, raise_on_unexpected_status=True)


def said(status, response):
    assert response.status_code == status, (response.status_code, response.content)
    assert response.parsed is not None, response.content
    return response.parsed


# Customers.
made = []
for number in range(5):
    metadata = CustomerBodyMetadataType0.from_dict({"seats": number, "tags": ["a", None]})
    body = CustomerBody(name=f"Shop {number}", email=f"shop{number}@example.com", metadata=metadata)
    made.append(said(HTTPStatus.CREATED, customers_create.sync_detailed(client=client, body=body)))
first = made[0]
assert first.token and first.status == "active", first
assert first.created_at.tzinfo is not None, "a time is read with its zone"

shown = said(HTTPStatus.OK, customers_show.sync_detailed(first.id, client=client))
assert shown.email == "shop0@example.com" and shown.phone is None, shown
assert shown.metadata["tags"] == ["a", None], shown.metadata
assert isinstance(shown.updated_at, datetime.datetime)

taken = customers_create.sync_detailed(client=client, body=CustomerBody(email="shop0@example.com"))
taken = said(HTTPStatus.CONFLICT, taken)
assert isinstance(taken, Problem) and taken.code == "email_taken", taken

# Their list: by pages, and by cursors with nothing else said.
expected = [it.id for it in reversed(made)]
pages = []
for page in (1, 2, 3):
    part = customers_list.sync_detailed(client=client, page=page, page_size=2)
    part = said(HTTPStatus.OK, part)
    assert part.meta.total == 5 and part.meta.page == page, part.meta
    pages += [it.id for it in part.data]
assert pages == expected, pages

walked, cursor = [], ""
while cursor is not None:
    part = customers_list.sync_detailed(client=client, cursor=cursor, page_size=2)
    part = said(HTTPStatus.OK, part)
    walked += [it.id for it in part.data]
    cursor = part.meta.next_cursor
    assert len(walked) <= 5, "the walk does not end"
assert walked == expected, walked

made_up = said(HTTPStatus.UNPROCESSABLE_ENTITY, customers_list.sync_detailed(client=client, cursor="abc"))
assert made_up.errors[0].field == "cursor", made_up
found = said(HTTPStatus.OK, customers_list.sync_detailed(client=client, email="SHOP3@"))
assert [it.id for it in found.data] == [made[3].id], found

# A licence.
ends = datetime.datetime(2030, 1, 31, 9, 30, tzinfo=datetime.timezone.utc)
body = LicenseBody(customer_id=first.id, product="desktop", expires_at=ends)
license = said(HTTPStatus.CREATED, licenses_create.sync_detailed(client=client, body=body))
assert license.valid and license.key and license.expires_at == ends, license
answer = licenses_validate.sync_detailed(client=client, body=KeyBody(key=license.key))
answer = said(HTTPStatus.OK, answer)
assert answer.valid, answer
issued = licenses_list.sync_detailed(client=client, customer_id=first.id, cursor="")
issued = said(HTTPStatus.OK, issued)
assert [it.id for it in issued.data] == [license.id], issued

# A plan.
body = PlanBody(name="Team", packages=[GrantBody(package="acme/tool", constraint="^1.0")])
put = plans_put.sync_detailed(PlansPutProvider.STRIPE, "price_team", client=client, body=body)
put = said(HTTPStatus.CREATED, put)
assert put.name == "Team" and put.packages[0].constraint == "^1.0", put
shown = plans_show.sync_detailed(PlansShowProvider.STRIPE, "price_team", client=client)
tag = shown.headers["etag"]
shown = said(HTTPStatus.OK, shown)
assert shown.waiting is None and shown.source == "api", shown
listed = said(HTTPStatus.OK, plans_list.sync_detailed(client=client))
assert "price_team" in [it.price_id for it in listed.data], listed
body = PlanBody(packages=[])
change = {"client": client, "body": body, "if_match": tag}
said(HTTPStatus.OK, plans_put.sync_detailed(PlansPutProvider.STRIPE, "price_team", **change))
stale = plans_put.sync_detailed(PlansPutProvider.STRIPE, "price_team", **change)
assert said(HTTPStatus.PRECONDITION_FAILED, stale).code == "precondition_failed", stale

print("all done")
