"""A session process for the tests: the service that a task names says how it behaves, well or badly."""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BASE = "/api/v2/tasks"
tasks = {}
counter = 0
seen_headers = {}


class Task:
    def __init__(self, service, body):
        global counter
        counter += 1
        self.id = "first" if service == "same_id" else f"task-{counter}"
        self.service, self.body = service, body
        self.state, self.response, self.error, self.code = "queued", None, None, None
        self.accept, self.interrupted = None, threading.Event()
        self.polls = 0

    def run(self):
        self.state = "running"
        self.state, self.code, self.response = getattr(Services, self.service)(self)

    def status(self):
        status = {"id": self.id, "serviceName": self.service, "state": self.state}
        if self.code is not None:
            status["returnCode"] = self.code
        if self.error is not None:
            status["errorMessage"] = self.error
        if self.accept is not None:
            status["Accept-More-Tasks"] = self.accept
        return status


class Services:
    def echo(task):
        return "completed", 0, task.body.upper()

    def pid(task):
        return "completed", 0, str(os.getpid()).encode()

    def headers(task):
        return "completed", 0, json.dumps(seen_headers).encode()

    def large(task):
        return "completed", 0, b"x" * int(task.body)

    def python(task):
        known = {}
        exec(task.body.decode(), known)
        return "completed", 0, known["result"].encode()

    def sleep(task):
        time.sleep(float(task.body))
        return "completed", 0, str(os.getpid()).encode()

    def talk(task):
        print("hello from", task.body.decode(), flush=True)
        print("and an error", file=sys.stderr, flush=True)
        return "completed", 0, b""

    def fail(task):
        task.error = "no solution for " + task.body.decode()
        return "failed", None, None

    def last(task):
        task.accept = False
        return "completed", 0, str(os.getpid()).encode()

    def last_by_header(task):
        return "completed", 0, str(os.getpid()).encode()

    def solve(task):
        task.state = "solving"
        task.interrupted.wait()
        return "completed", 7, b"best so far"

    def deaf(task):
        time.sleep(3600)

    def die(task):
        print("out of luck", file=sys.stderr, flush=True)
        os._exit(3)

    def kill(task):
        os.kill(os.getpid(), 9)

    # What follows breaks the protocol in `Handler.status`, so the tasks themselves go on.
    wrong_json = wrong_state = never = other = endless = huge_headers = closing = no_http = cut_response = (
        same_id
    ) = mute = leaving = hanging_up = failing = dripping_response = endless_response = huge_response_head = echo

    def twice(task):
        return "completed", 0, b"the first claim"


SPECIAL_AT_STATUS = {"wrong_json", "wrong_state", "never", "other", "endless", "huge_headers", "closing", "no_http", "leaving", "last_by_header"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, body=b"", kind="application/json", more=None):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if more is not None:
            self.send_header("Accept-More-Tasks", more)
        self.end_headers()
        self.wfile.write(body)

    def json(self, value):
        self.answer(200, json.dumps(value).encode())

    def task(self):
        return tasks.get(self.path[len(BASE) + 1 :].split("/")[0])

    def do_POST(self):
        service = self.path[len(BASE) + 1 :]
        # These break it before there is a task.
        if service == "mute":
            time.sleep(3600)
        if service == "hanging_up":
            self.close_connection = True
            return
        if service == "failing":
            return self.answer(500, b"Traceback: no licence", "text/plain")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self.chunks()
        if not hasattr(Services, service):
            return self.answer(403)
        seen_headers.update({name.lower(): value for name, value in self.headers.items()})
        task = Task(service, body)
        tasks[task.id] = task
        threading.Thread(target=task.run, daemon=True).start()
        self.json(task.status() if service not in SPECIAL_AT_STATUS else {"id": task.id, "state": "queued"})

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_GET(self):
        if self.path == BASE:
            return self.json([task.status() for task in tasks.values()])
        task = self.task()
        if task is None:
            return self.answer(404)
        if self.path.endswith("/response"):
            return self.result(task)
        if self.path.endswith("/status"):
            return self.json({"progress": 0.5, "message": "half way"})
        getattr(self, task.service, lambda task: self.json(task.status()))(task)

    def result(self, task):
        if task.service == "cut_response":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000)
            self.close_connection = True
        elif task.service == "dripping_response":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                self.wfile.write(b"x")
                time.sleep(0.2)
        elif task.service == "endless_response":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                self.wfile.write(b"x" * 1048576)
        elif task.service == "huge_response_head":
            self.huge_headers(task)
        elif task.response is None:
            self.answer(404)
        else:
            self.answer(200, task.response, "text/x-test")

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.task().interrupted.set()
        self.json({**self.task().status(), "setstatus": "interrupt-solve"})

    def do_DELETE(self):
        tasks.pop(self.path[len(BASE) + 1 :], None)
        self.answer(200)

    def last_by_header(self, task):
        self.answer(200, json.dumps(task.status()).encode(), more="false")

    def leaving(self, task):
        # The process lives on, and takes no connection any more.
        self.server.socket.close()
        self.answer(200, json.dumps({"id": task.id, "state": "running"}).encode())
        self.close_connection = True

    def wrong_json(self, task):
        self.answer(200, b"<html>busy</html>", "text/html")

    def wrong_state(self, task):
        self.json({"id": task.id, "state": "done"})

    def never(self, task):
        time.sleep(3600)

    def other(self, task):
        self.json({"id": "task-of-another", "state": "completed"})

    def endless(self, task):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            self.wfile.write(b'{"id": "' + b"x" * 65536)

    def huge_headers(self, task):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(1000)))

    def closing(self, task):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
        self.close_connection = True

    def twice(self, task):
        # The second claim follows the first unasked, under the same id and with another code.
        status = {"id": task.id, "state": "completed", "returnCode": 0}
        for code in (0, 99):
            self.json({**status, "returnCode": code})

    def no_http(self, task):
        self.wfile.write(b"220 mail.example.org ESMTP\r\n")
        self.close_connection = True


print("starting", file=sys.stderr, flush=True)
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler)
server.daemon_threads = True
server.serve_forever()
