"""The page, the handshake and the echo, over a real connection."""

import http.client
import http.server
import io
import struct
import threading
import unittest

import server
import websocket


def masked(kind, body):
    """A frame as a client sends it."""
    mask = b"\x01\x02\x03\x04"
    length = struct.pack(">B", 0x80 | len(body)) if len(body) < 126 else struct.pack(">BH", 0x80 | 126, len(body))
    return bytes([0x80 | kind]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))


class Server(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), server.Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)

    def tearDown(self):
        self.connection.close()
        self.server.shutdown()
        self.server.server_close()

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def test_the_page_is_there_and_refers_to_nothing_outside_its_folder(self):
        status, body = self.get("/")
        self.assertEqual(status, 200)
        self.assertIn(b'new URL("socket"', body)
        self.assertNotIn(b'="/', body)
        self.assertEqual(self.get("/health"), (200, b"ok\n"))
        self.assertEqual(self.get("/nothing")[0], 404)

    def test_a_text_comes_back(self):
        self.connection.connect()
        socket = self.connection.sock
        socket.sendall(
            b"GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        stream = socket.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += stream.read(1)
        # The key and its answer are the example of RFC 6455.
        self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)
        for text in [b"hello", b"x" * 300]:
            socket.sendall(masked(websocket.TEXT, text))
            expected = websocket.frame(websocket.TEXT, text)
            self.assertEqual(stream.read(len(expected)), expected)
        socket.sendall(masked(websocket.CLOSE, b""))
        self.assertEqual(stream.read(2), websocket.frame(websocket.CLOSE, b""))

    def test_what_is_no_frame_ends_the_echo(self):
        self.assertIsNone(websocket.read(io.BytesIO(b"")))
        self.assertIsNone(websocket.read(io.BytesIO(b"\x81\x05hello")), "clients mask what they send")


if __name__ == "__main__":
    unittest.main()
