"""A session with chat.py, by python-socketio: `python chat_client.py URL CA`, printed as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import requests
import socketio

url, ca = sys.argv[1:]
session = requests.Session()
session.verify = ca
session.trust_env = False  # whose REQUESTS_CA_BUNDLE would come first


def talk() -> dict[str, Any]:
    """One connection: what it has seen. Raises TimeoutError of socketio without an answer."""
    client = socketio.SimpleClient(http_session=session)
    client.connect(url)
    try:
        answer = client.call("say", "grüße", timeout=20)
        return {"transport": client.transport, "answer": answer, "heard": client.receive(20)}
    finally:
        client.disconnect()


# Over TLS about one connection of this client in 450 hears nothing more once it is a WebSocket,
# behind HAProxy as well: one thread of it reads the socket while another one writes to it.
for last in (False, False, True):
    try:
        print(json.dumps(talk()))
        break
    except socketio.exceptions.TimeoutError:
        if last:
            raise
