// One session: node client.js '{"url": ..., "messages": [...], "protocols": [...], ...}'
// Sends each message when the one before came back; a number stands for that many bytes.
// Prints what was agreed on, what came back, and how it ended, as JSON.
'use strict';

const WebSocket = require('ws');

const wish = JSON.parse(process.argv[2]);
const seen = { protocol: null, extensions: null, status: null, echoes: [], close: null };
const socket = new WebSocket(wish.url, wish.protocols, {
  headers: wish.headers,
  perMessageDeflate: wish.deflate ? { threshold: 0 } : false,
});

function sendNext() {
  if (wish.messages.length === 0) {
    if (wish.close) socket.close(...wish.close);
    return;
  }
  const message = wish.messages.shift();
  socket.send(typeof message === 'number' ? Buffer.alloc(message, 7) : message);
}

socket.on('open', () => {
  seen.protocol = socket.protocol;
  seen.extensions = socket.extensions;
  sendNext();
});
socket.on('message', (data, isBinary) => {
  seen.echoes.push(isBinary ? data.filter((byte) => byte === 7).length : data.toString());
  sendNext();
});
socket.on('unexpected-response', (request, response) => {
  seen.status = response.statusCode;
  response.resume();
  response.on('end', () => console.log(JSON.stringify(seen)));
});
socket.on('error', (error) => {
  seen.error = error.message;
});
socket.on('close', (code, reason) => {
  seen.close = [code, reason.toString()];
  console.log(JSON.stringify(seen));
});
