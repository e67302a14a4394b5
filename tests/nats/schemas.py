"""Holds what the functions say of themselves as micro services against what they do.

Takes the number of endpoints. Each is asked once, with a request that its schema allows; the answer has to be what its schema says. What a
schema forbids the door has to refuse.
"""

import asyncio
import json
import os
import sys

import nats
from jsonschema import Draft202012Validator as Validator


async def endpoints(nc, count):
    """So many endpoints by name, from the answers of all instances."""
    inbox = nc.new_inbox()
    answers = await nc.subscribe(inbox)
    await nc.publish("$SRV.INFO", reply=inbox)
    found = {}
    while len(found) < count:
        info = json.loads((await answers.next_msg(timeout=30)).data)
        assert info["type"] == "io.nats.micro.v1.info_response", info
        found.update({endpoint["name"]: endpoint for endpoint in info["endpoints"]})
    return found


async def main():
    nc = await nats.connect(os.environ["NATS_URL"], nkeys_seed_str=os.environ["NATS_SEED"])
    known = await endpoints(nc, int(sys.argv[1]))
    asked = set()

    async def ask(word, request, allowed=True):
        request_schema, reply_schema = (
            json.loads(known[word]["metadata"][name]) for name in ("request_schema", "response_schema")
        )
        for schema in (request_schema, reply_schema):
            Validator.check_schema(schema)
        assert Validator(request_schema).is_valid(request) == allowed, (word, request)
        answer = await nc.request(known[word]["subject"], json.dumps(request).encode(), timeout=20)
        reply = json.loads(answer.data)
        if allowed:
            Validator(reply_schema).validate(reply)
        else:
            assert reply["status"] == 400, (word, request, reply)
        asked.add(word)
        return reply

    order = {"app": "hello", "service": "greet", "version": "1.0", "input": {"a": [1]}, "priority": 3}
    order |= {"run_at": "2026-01-01T00:00:00Z", "content_type": "text/plain", "idempotency_key": "k", "wait": 0}
    task = (await ask("create", order))["id"]
    await ask("status", {"id": task, "wait": 10, "run": 0, "tenant": "demo"})
    await ask("response", {"id": task})
    await ask("logs", {"id": task, "offset": 0, "limit": 10, "wait": 0})
    await ask("interrupt", {"id": task, "kind": "solve"})
    page = {"app": "hello", "states": ["completed", "solving"], "all": True, "limit": 10, "offset": 0}
    await ask("list", page | {"after": "2026-01-01T00:00:00Z", "before": "2100-01-01T00:00:00Z"})
    await nc.jetstream().publish("tasklane.v1.submit", b"{")
    while not (await ask("dead_letters", {"cursor": 0, "limit": 1}))["letters"]:
        await asyncio.sleep(0.05)
    await ask("delete", {"id": task})
    for word, request in [
        ("create", {"app": "hello"}),
        ("create", {"app": "hello", "service": "greet", "pririty": 3}),
        ("create", {"app": "hello", "service": "greet", "priority": 11}),
        ("create", {"app": "hello", "service": "greet", "wait": 61}),
        ("status", {}),
        ("status", {"id": task, "wait": -1}),
        ("status", {"id": task, "wait": 61}),
        ("list", {"states": ["done"]}),
        ("list", {"limit": 0}),
        ("logs", {"id": task, "limit": 1001}),
        ("logs", {"id": task, "wait": 31}),
        ("interrupt", {"id": task, "kind": "kill"}),
    ]:
        await ask(word, request, allowed=False)
    if missing := known.keys() - asked:
        sys.exit(f"endpoints that nobody asked: {missing}")
    print(len(known), "endpoints")


asyncio.run(main())
