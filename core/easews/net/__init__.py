"""Sockets: the only room that makes one.

sockets  non-blocking sockets, awaited through anyio
poller   many sockets behind one descriptor: epoll or kqueue
"""
