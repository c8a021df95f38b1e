// A session with apps/chat.py: node chat.js '{"url": ..., "messages": [...]}'
// Prints the transports that it went through, what was answered, and what it heard, as JSON.
'use strict';

const { io } = require('socket.io-client');

const wish = JSON.parse(process.argv[2]);
const seen = { transports: [], answers: [], heard: [] };

async function chat() {
  const socket = io(wish.url, { reconnection: false });
  const { engine } = socket.io;
  engine.on('open', () => seen.transports.push(engine.transport.name));
  engine.on('upgrade', (transport) => seen.transports.push(transport.name));
  socket.on('said', (words) => seen.heard.push(words));
  socket.on('connect_error', (error) => { throw error; });
  const happened = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));
  await Promise.all([happened(engine, 'upgrade'), happened(socket, 'connect')]);
  for (const words of wish.messages) seen.answers.push(await socket.emitWithAck('say', words));
  socket.close();
  console.log(JSON.stringify(seen));
}

chat();
