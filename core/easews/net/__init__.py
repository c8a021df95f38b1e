"""Sockets: the only room that makes one.

wire     what a connection is read from and written to
sockets  non-blocking sockets, awaited through anyio
poller   many sockets behind one descriptor: epoll or kqueue
"""
