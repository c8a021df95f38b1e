"""What crosses in the two opening handshakes, as rules over values (RFC 6455 §4). Pure.

rules       the client's request, the backend's answer, and what is sent on
origin      which pages may open a session
extensions  permessage-deflate, as far as it is negotiated (RFC 7692)
"""
