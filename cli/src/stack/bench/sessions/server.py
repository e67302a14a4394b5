"""A session process that is cheap itself: a task is done by the time somebody asks, and its answer says when it came.

    python3 server.py --port 7000
"""

import asyncio
import json
import sys
import time

BASE = "/api/v2/tasks"


class Connection(asyncio.Protocol):
    """One connection of the engine, which sends one request after the other."""

    tasks = {}
    created = 0

    def connection_made(self, transport):
        self.transport = transport
        self.waiting = b""

    def data_received(self, data):
        self.waiting += data
        while True:
            head, found, rest = self.waiting.partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:])
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self.waiting = rest[length:]
            method, path, _ = lines[0].split(" ")
            self.answer(method, path[len(BASE) :].split("/")[1:])

    def answer(self, method, parts):
        tasks, kind = Connection.tasks, "application/json"
        if method == "POST":
            came = str(int(time.time() * 1e6)).encode()
            Connection.created += 1
            name = f"task-{Connection.created}"
            tasks[name] = came
            code, body = "200 OK", json.dumps({"id": name, "state": "queued"}).encode()
        elif not parts:
            code, body = "200 OK", b"[]"
        elif parts[0] not in tasks:
            code, body = "404 Not Found", b""
        elif method == "DELETE":
            code, body = "200 OK", b""
            del tasks[parts[0]]
        elif len(parts) == 2:
            code, body, kind = "200 OK", tasks[parts[0]], "text/plain"
        else:
            code = "200 OK"
            body = json.dumps({"id": parts[0], "state": "completed", "returnCode": 0}).encode()
        head = f"HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)


async def main():
    port = int(sys.argv[sys.argv.index("--port") + 1])
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


asyncio.run(main())
