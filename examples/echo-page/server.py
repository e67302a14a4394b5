"""Serves the page and its WebSocket on the port that the runner names. What is written to stderr is the log."""

import argparse
import http.server
import pathlib
import sys

import websocket

PAGE = pathlib.Path(__file__).with_name("page.html")


class Handler(http.server.BaseHTTPRequestHandler):
    """One visitor's connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/socket":
            self.echo()
        elif path == "/":
            self.answer("text/html; charset=utf-8", PAGE.read_bytes())
        elif path == "/health":
            self.answer("text/plain", b"ok\n")
        else:
            self.send_error(404)

    def answer(self, content_type, body):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo(self):
        """Gives back every text until the visitor leaves."""
        key = self.headers.get("Sec-WebSocket-Key")
        if key is None:
            self.send_error(400, "this is a WebSocket")
            return
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", websocket.accept(key))
        self.end_headers()
        print("a visitor came", file=sys.stderr, flush=True)
        while (read := websocket.read(self.rfile)) is not None:
            kind, body = read
            if kind == websocket.CLOSE:
                self.wfile.write(websocket.frame(websocket.CLOSE, body))
                break
            if kind == websocket.PING:
                self.wfile.write(websocket.frame(websocket.PONG, body))
            elif kind == websocket.TEXT:
                self.wfile.write(websocket.frame(websocket.TEXT, body))
        print("a visitor left", file=sys.stderr, flush=True)

    def log_message(self, format, *args):
        """Requests are not worth a line each."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"the page is served on port {server.server_port}", file=sys.stderr, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
