// An echo backend on a free port, which it prints. A path .../close makes it close with 4001.
'use strict';

const { WebSocketServer } = require('ws');

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  // Every message is compressed where the client agreed to it, however short.
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => offered.values().next().value,
});

server.on('listening', () => console.log(server.address().port));
server.on('connection', (socket, request) => {
  socket.on('error', () => {});
  if (request.url.endsWith('/close')) {
    socket.close(4001, 'go elsewhere, s\u{2019}il te pla\u{ee}t');
    return;
  }
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});
