"""Reads a contact, its events and its timeline with the client that was made of openapi.yaml; fails where a type is not as told."""

import sys
from datetime import datetime

from sync_client import AuthenticatedClient
from sync_client.api.admin import get_contact, get_event, get_timeline, list_events
from sync_client.models import Problem

url, token, whom = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=token)

read = get_contact.sync(whom, client=client)
assert (read.contact.contact_id, read.contact.status) == (whom, "synced"), read
assert isinstance(read.contact.trafft_customer_id, int) and read.contact.gone_at is None, read
assert [write.action for write in read.writes][-1] == "create", read

page = list_events.sync(client=client, contact_id=whom)
assert {one.type_ for one in page.events} == {"ContactCreate", "NoteCreate", "TaskCreate"}, page
one = get_event.sync(page.events[0].id, client=client)
assert (one.contact_id, one.status) == (whom, "synced") and isinstance(one.received_at, datetime), one

line = get_timeline.sync(whom, client=client)
assert line.trafft_customer_id == read.contact.trafft_customer_id, line
assert [entry.kind for entry in line.entries] == ["task", "note"], line
assert all(isinstance(entry.at, datetime) and entry.at.tzinfo for entry in line.entries), line
assert (line.entries[0].title, line.entries[0].gone_at, line.entries[1].text) == ("Call back", None, "Prefers mornings"), line

# A refusal has its own type, and is told apart from a good answer.
refused = get_timeline.sync("nobodyKnowsThisOne01", client=client)
assert isinstance(refused, Problem) and refused.status == 404, refused
