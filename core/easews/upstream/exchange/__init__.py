"""HTTP/1.1 with a server, on connections of our own.

answers    Answer, and how its head and its body are read
ask        ask(wire, …) -> Answer: one request without a body, and its answer
upload     a request's body on its way to a server
uploads    Uploads, the service that listens to servers meanwhile
keeping    which connections are kept between requests (pure)
kept       KeptConnections, the service that keeps them
roundtrip  one request with its body on one connection, and its answer
client     Client: requests over kept connections, each sent once more where it may be
"""
