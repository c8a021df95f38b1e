"""easews-messages: filters that read the messages of WebSockets.

plugin        the entry point: which filters this package brings
validator     MessageValidator: JSON against a JSON Schema
ratelimiter   MessageRateLimiter: messages and bytes a second, by client, label or field
logger        MessageLogger: a line for each message
transform     MessageTransform: sets, removes and masks fields of JSON
reading       what the four share: whose messages, and how large ones are read aside
linefile      a file of lines that a thread writes, and rotates
jsontext      JSON, read so that no two readers can differ about it             (pure)
paths         which fields of JSON a config means                               (pure)
changes       changes of JSON fields: set, remove, mask                         (pure)
jsonschemas   JSON Schemas of messages: what is wrong with a value              (pure)
schemafaults  what is wrong with such a schema                                  (pure)
keywords      the keywords whose checks could take long                         (pure)
meters        rates by key, as many keys as fit                                 (pure)
records       what is logged of a message                                       (pure)
schemas/      the schemas of our configs
"""
