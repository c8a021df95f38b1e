"""How many bytes are read and held at once."""

#: What a leg may read in one turn, so that one session cannot keep the others waiting.
TURN_BYTES = 16 * 1024
#: The same under a flood of tiny frames: 256 of the smallest masked ones.
FLOOD_BYTES = 256 * 6
FLOOD_FRAMES = 256
#: Inside a large frame there is nothing to judge: bigger reads cost less a byte.
LARGE_FRAME = 64 * 1024
BUFFER_BYTES = 256 * 1024
#: How much of what filters send may wait for a peer that does not take it: several messages as
#: large as filters read by default, and no more than a session may cost.
INSERTED_BYTES = 4 * 1024 * 1024
#: What a leg may read while the relay holds more than it should for slow readers.
SCARCE_BYTES = 4 * 1024
