"""Connecting to a server.

securing   TLS to servers: contexts, and why there is no agreement
tlsfaults  what is wrong with a pool's tls
racing     the first of several addresses that connects
dial       dial(server) -> a connection
"""
