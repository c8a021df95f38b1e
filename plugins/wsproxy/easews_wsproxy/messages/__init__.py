"""Whole messages out of the frames of a session, and into frames again.

lane      one direction of a session whose messages are read
onward    what goes on to the other leg, as it came or anew
reading   messages from the bytes of one direction: joined, inflated, checked    (pure)
joining   a message in fragments, or a compressed one that does not come at once   (pure)
filling   a message in one frame that does not come at once                       (pure)
writing   a message as one frame                                                 (pure)
deflate   permessage-deflate, in bounded memory (RFC 7692)                       (pure)

The frames are judged by `relay.frames`, here as in a session whose messages nobody reads.
"""
