"""A VNC server with a screen of one colour: red, and green once a key is pressed.

`python screen.py PORT`. The protocol is RFC 6143, without security, in true colour only.
"""

from __future__ import annotations

import struct
import sys
from socketserver import StreamRequestHandler, ThreadingTCPServer

WIDTH, HEIGHT = 64, 48
NAME = b"the screen of the tests"
# 32 bits a pixel, little-endian, eight each for red, green and blue: as noVNC asks for it.
PIXEL_FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)
RED, GREEN = b"\xff\0\0\0", b"\0\xff\0\0"
#: The rest of each message of the client that has a fixed size, by its first byte.
SIZES = {0: 19, 3: 9, 4: 7, 5: 5}


class Screen(StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"RFB 003.008\n")
        self.rfile.read(12)
        self.wfile.write(b"\x01\x01")  # one type of security: none
        self.rfile.read(1)
        self.wfile.write(bytes(4))
        self.rfile.read(1)
        size = struct.pack(">HH", WIDTH, HEIGHT)
        self.wfile.write(size + PIXEL_FORMAT + struct.pack(">I", len(NAME)) + NAME)
        self.paint(RED)
        while kind := self.rfile.read(1):
            self.take(kind[0])

    def take(self, kind: int) -> None:
        if kind == 2:  # SetEncodings
            _, count = struct.unpack(">BH", self.rfile.read(3))
            self.rfile.read(4 * count)
        elif kind == 6:  # ClientCutText
            _, size = struct.unpack(">3sI", self.rfile.read(7))
            self.rfile.read(size)
        else:
            self.rfile.read(SIZES[kind])
        if kind == 4:  # KeyEvent
            self.paint(GREEN)

    def paint(self, pixel: bytes) -> None:
        """A FramebufferUpdate of one rectangle, in Raw."""
        head = struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
        self.wfile.write(head + pixel * (WIDTH * HEIGHT))


ThreadingTCPServer.allow_reuse_address = True
ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Screen).serve_forever()
