// The application of tests/e2e/http_servers.py on node's own server: node http-server.js PORT
const { createHash } = require("node:crypto");
const http = require("node:http");

const BYTES = Buffer.concat(Array(1200).fill(Buffer.from(Array.from({ length: 250 }, (_, i) => i))));
const waiting = [];
let gone = false;

const paths = {
  "/sum": (request, response) => {
    const digest = createHash("sha256");
    let size = 0;
    request.on("data", (piece) => { digest.update(piece); size += piece.length; });
    request.on("end", () => response.end(`${size} ${digest.digest("hex")}`));
  },
  "/events": (request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("data: one\n\n");
    const last = () => response.end("data: two\n\n");
    if (gone) last(); else waiting.push(last);
  },
  "/go": (request, response) => {
    gone = true;
    waiting.splice(0).forEach((last) => last());
    response.end("hello");
  },
  "/early": (request, response) => response.writeHead(413).end("too large"),
  "/bytes": (request, response) => {
    response.write(BYTES.subarray(0, 100000));
    response.end(BYTES.subarray(100000));
  },
};
const hello = (request, response) => {
  response.writeHead(200, { "Content-Length": 5 });
  response.end("hello");
};

http
  .createServer((request, response) => (paths[request.url] || hello)(request, response))
  .listen(Number(process.argv[2]), "127.0.0.1");
