// A document that two edit at once, by y-websocket. `node yjs.js` serves it on a free port, which
// it prints; `node yjs.js '{"url": ..., "lines": [...]}'` has one write these lines and another
// answer each, and prints the document as each of them has it in the end, as JSON.
'use strict';

const { WebsocketProvider } = require('y-websocket');
const decoding = require('lib0/decoding');
const encoding = require('lib0/encoding');
const sync = require('y-protocols/sync');
const WebSocket = require('ws');
const Y = require('yjs');

const SYNC = 0;

function serve() {
  const options = { host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 0 } };
  const server = new WebSocket.WebSocketServer(options);
  const document = new Y.Doc();
  const send = (socket, write) => {
    const message = encoding.createEncoder();
    encoding.writeVarUint(message, SYNC);
    write(message);
    if (encoding.length(message) > 1) socket.send(encoding.toUint8Array(message));
  };
  document.on('update', (update) => {
    server.clients.forEach((socket) => send(socket, (to) => sync.writeUpdate(to, update)));
  });
  server.on('connection', (socket) => {
    socket.on('message', (data) => {
      const message = decoding.createDecoder(new Uint8Array(data));
      if (decoding.readVarUint(message) !== SYNC) return; // who is there is nobody's affair here
      send(socket, (answer) => sync.readSyncMessage(message, answer, document, socket));
    });
    send(socket, (to) => sync.writeSyncStep1(to, document));
  });
  server.on('listening', () => console.log(server.address().port));
}

class CompressingSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { perMessageDeflate: { threshold: 0 } });
  }
}

async function join(url) {
  const document = new Y.Doc();
  const options = { WebSocketPolyfill: CompressingSocket, disableBc: true };
  const provider = new WebsocketProvider(url, 'room', document, options);
  await new Promise((resolve) => provider.once('sync', resolve));
  return { provider, lines: document.getArray('lines') };
}

function length(lines, wanted) {
  return new Promise((resolve) => {
    const look = () => { if (lines.length >= wanted) resolve(); };
    lines.observe(look);
    look();
  });
}

async function edit(wish) {
  const url = wish.url.replace('http', 'ws');
  const [one, other] = await Promise.all([join(url), join(url)]);
  const { extensions } = one.provider.ws;
  for (const [at, line] of wish.lines.entries()) {
    one.lines.push([line]);
    await length(other.lines, 2 * at + 1);
    other.lines.push([line.length]);
    await length(one.lines, 2 * at + 2);
  }
  const documents = [one, other].map(({ lines }) => lines.toArray());
  for (const { provider, lines } of [one, other]) {
    provider.destroy();
    lines.doc.destroy(); // and with it the timer that tells who is there
  }
  console.log(JSON.stringify({ extensions, documents }));
}

if (process.argv[2]) edit(JSON.parse(process.argv[2]));
else serve();
