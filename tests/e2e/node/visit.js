// One visit to a page in Chromium: `node PROGRAM '{"url": ..., "chromium": ...}'`.
// Prints as JSON what the visitor has seen.
'use strict';

const { chromium } = require('playwright-core');

function record(page, seen) {
  page.on('console', (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => seen.console.push(`error: ${error.message}`));
  page.on('websocket', (ws) => seen.sockets.push(ws.url()));
}

/** Calls `act(page, seen, wish)`, which adds to what is seen; `wish` is the argument above. */
exports.visit = async (act) => {
  const wish = JSON.parse(process.argv[2]);
  const seen = { console: [], sockets: [] };
  // No name leads anywhere: a page that asks for another host says so in its console.
  const args = ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost'];
  const browser = await chromium.launch({ executablePath: wish.chromium, args });
  try {
    const page = await browser.newPage();
    record(page, seen);
    await act(page, seen, wish);
  } catch (error) {
    console.error(seen); // Python shows it
    throw error;
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
};
