// graphql-ws on both sides. `node graphql.js` serves on a free port, which it prints;
// `node graphql.js '{"url": ..., "words": ...}'` asks, subscribes, and prints what came as JSON.
'use strict';

const { buildSchema } = require('graphql');
const { createClient } = require('graphql-ws');
const { useServer } = require('graphql-ws/use/ws');
const WebSocket = require('ws');

const schema = buildSchema(`
  type Query { echo(words: String!): String! }
  type Subscription { count(to: Int!): Int! }
`);

async function* count({ to }) {
  for (let number = 1; number <= to; number++) yield { count: number };
}

function serve() {
  const options = { host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 0 } };
  const server = new WebSocket.WebSocketServer(options);
  const echo = ({ words }) => words;
  useServer({ schema, roots: { query: { echo }, subscription: { count } } }, server);
  server.on('listening', () => console.log(server.address().port));
}

class CompressingSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { perMessageDeflate: { threshold: 0 } });
  }
}

async function ask(wish) {
  const url = wish.url.replace('http', 'ws');
  const client = createClient({ url, webSocketImpl: CompressingSocket, retryAttempts: 0 });
  const seen = { extensions: null, closed: null, answers: [] };
  client.on('connected', (socket) => { seen.extensions = socket.extensions; });
  const closed = new Promise((resolve) => client.on('closed', resolve));
  const variables = { words: wish.words };
  const queries = [
    { query: 'query ($words: String!) { echo(words: $words) }', variables },
    { query: 'subscription { count(to: 100) }' },
  ];
  for (const query of queries) {
    for await (const { data } of client.iterate(query)) seen.answers.push(Object.values(data)[0]);
  }
  client.dispose();
  seen.closed = (await closed).code;
  console.log(JSON.stringify(seen));
}

if (process.argv[2]) ask(JSON.parse(process.argv[2]));
else serve();
