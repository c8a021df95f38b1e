"""Whole messages out of the frames of a session, and into frames again.

lane      one direction of a session whose messages are read
reading   messages from the bytes of one direction: joined, inflated, checked    (pure)
joining   a message that comes in parts                                           (pure)
filling   a large message in one frame, received where it stays                  (pure)
writing   a message as one frame                                                 (pure)
deflate   permessage-deflate, in bounded memory (RFC 7692)                       (pure)

The frames are judged by `relay.frames`, here as in a session whose messages nobody reads.
"""
