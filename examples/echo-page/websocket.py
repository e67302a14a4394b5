"""As much of the WebSocket protocol (RFC 6455) as an echo needs: the handshake, and frames of up to 64 KiB."""

import base64
import hashlib
import struct

# The text that the protocol adds to a client's key, so that only a server that knows the protocol can answer.
PROTOCOL = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FRAME_BYTES_MAX = 64 * 1024


def accept(key):
    """What the server answers to a client's key."""
    return base64.b64encode(hashlib.sha1((key + PROTOCOL).encode()).digest()).decode()


def read(stream):
    """The next frame as its kind and its bytes; None when there is none, or one that we do not take."""
    head = stream.read(2)
    if len(head) < 2:
        return None
    kind, is_masked, length = head[0] & 0x0F, head[1] & 0x80, head[1] & 0x7F
    if length == 126:
        length = struct.unpack(">H", stream.read(2))[0]
    elif length == 127:
        length = struct.unpack(">Q", stream.read(8))[0]
    if not is_masked or length > FRAME_BYTES_MAX:
        return None
    mask = stream.read(4)
    body = stream.read(length)
    return kind, bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))


def frame(kind, body):
    """A whole frame, as servers send it."""
    if len(body) < 126:
        head = struct.pack(">BB", 0x80 | kind, len(body))
    else:
        head = struct.pack(">BBH", 0x80 | kind, 126, len(body))
    return head + body
