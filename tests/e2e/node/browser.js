// A visit to the demo's page: node browser.js '{"url": ..., "chromium": ..., "images": DIR or null}'
// Prints what the visitor saw, as JSON. With `images` it leaves screenshots there.
'use strict';

const { chromium } = require('playwright-core');
const { look } = require('./views');

const wish = JSON.parse(process.argv[2]);
const seen = { console: [], requests: [], sockets: [], views: [] };

const DESKTOP = { width: 1180, height: 820 };
const VIEWS = [
  { name: 'demo-light', scheme: 'light', size: DESKTOP },
  { name: 'demo-dark', scheme: 'dark', size: DESKTOP },
  { name: 'demo-phone', scheme: 'light', size: { width: 390, height: 780 } },
  { name: 'demo-phone-dark', scheme: 'dark', size: { width: 320, height: 640 } },
];

function record(context) {
  context.on('console', (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  context.on('weberror', (error) => seen.console.push(`error: ${error.error().message}`));
  context.on('request', (request) => seen.requests.push(request.url()));
}

async function open(context) {
  const page = await context.newPage();
  page.on('websocket', (ws) => seen.sockets.push(ws.url()));
  await page.goto(wish.url);
  await page.getByText('connected', { exact: true }).waitFor();
  return page;
}

/** Types as people do, and waits for the words to be in the chat of each of these pages. */
async function say(words, page, ...audience) {
  await page.getByRole('textbox', { name: 'Message' }).fill(words);
  await page.keyboard.press('Enter');
  for (const listener of [page, ...audience]) {
    await listener.getByRole('log').getByText(words).waitFor();
  }
}

async function visit(browser) {
  const context = await browser.newContext();
  record(context);
  const [mine, theirs] = [await open(context), await open(context)];
  await mine.getByText('2 here').waitFor();
  await say('hello from the first tab', mine, theirs);
  await say('and hello from the second', theirs, mine);
  await say('<b>grüße</b>', mine, theirs);

  seen.facts = await mine.locator('dl').innerText();
  seen.head = await mine.getByRole('region', { name: /handshake/ }).innerText();
  seen.log = await mine.getByRole('log').locator('li').allInnerTexts();
  seen.frames = await mine.getByRole('region', { name: /frames/i }).locator('tbody tr')
    .evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText)));
  for (const view of VIEWS) seen.views.push(await look(mine, view, wish.images));

  await theirs.getByRole('button', { name: 'Close' }).click();
  seen.closed = await theirs.getByRole('status').filter({ hasText: 'closed' }).innerText();
  await mine.getByText('1 here').waitFor();
  const again = theirs.waitForEvent('websocket'); // which may come behind what the other tab hears
  await theirs.getByRole('button', { name: 'Connect again' }).click();
  await again;
  await mine.getByText('2 here').waitFor();
}

(async () => {
  // No name leads anywhere: a page that asks for another host says so in its console.
  const args = ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'];
  const browser = await chromium.launch({ executablePath: wish.chromium, args });
  try {
    await visit(browser);
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
})();
