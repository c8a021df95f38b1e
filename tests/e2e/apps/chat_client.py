"""A session with chat.py, by python-socketio: `python chat_client.py URL CA`, printed as JSON."""

from __future__ import annotations

import json
import sys

import requests
import socketio

url, ca = sys.argv[1:]
session = requests.Session()
session.verify = ca
session.trust_env = False  # whose REQUESTS_CA_BUNDLE would come first
client = socketio.SimpleClient(http_session=session)
client.connect(url)
answer = client.call("say", "grüße")
heard = client.receive(timeout=60)
print(json.dumps({"transport": client.transport, "answer": answer, "heard": heard}))
client.disconnect()
