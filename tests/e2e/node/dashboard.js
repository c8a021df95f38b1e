// A visit to the dashboard: node dashboard.js '{"url": ..., "token": ..., "config": FILE, ...}'
// Prints what the visitor saw, as JSON. With `images` it leaves screenshots there.
'use strict';

const fs = require('fs');
const { chromium } = require('playwright-core');
const { look } = require('./views');

const wish = JSON.parse(process.argv[2]);
const seen = { console: [], requests: [], views: [], axe: {} };

const DESKTOP = { width: 1280, height: 900 };
const VIEWS = [
  { name: 'dashboard-light', scheme: 'light', size: DESKTOP },
  { name: 'dashboard-dark', scheme: 'dark', size: DESKTOP },
  { name: 'dashboard-phone', scheme: 'light', size: { width: 390, height: 780 } },
];
const HOSTILE = '<img src=x onerror="window.hostile = 1">';
const AXE = fs.readFileSync(require.resolve('axe-core'), 'utf8');

// Runs in the page: what the policy has kept it from.
function noteViolations() {
  window.violations = [];
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    window.violations.push(`${violatedDirective} ${blockedURI}`));
}

/** A page of its own, with the token, or where that is asked for. */
async function open(browser, token = wish.token) {
  const context = await browser.newContext({ viewport: DESKTOP, reducedMotion: 'reduce' });
  await context.addInitScript(noteViolations);
  if (token) await context.addInitScript((kept) => sessionStorage.setItem('easews-token', kept), token);
  return context.newPage();
}

async function ready(page) {
  await page.locator('#state', { hasText: 'ready' }).waitFor();
  await page.locator('#rows tr').first().waitFor();
}

function record(page) {
  page.on('console', (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => seen.console.push(`error: ${error.message}`));
  page.on('request', (request) => seen.requests.push(new URL(request.url()).origin));
}

const dialog = (page) => page.locator('#detail');
const cells = (page, column) => page.locator(`#rows td:nth-child(${column})`).allInnerTexts();

/** Serious violations of the rules of axe-core, by what was looked at. */
async function audit(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  seen.axe[what] = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).slice(0, 3).join(' ')}`);
}

/** Presses Tab until what is focused is `selector`. */
async function tabTo(page, selector) {
  for (let steps = 0; steps < 200; steps += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) {
      return page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    }
  }
  throw new Error(`Tab does not lead to ${selector}`);
}

async function search(page, term, count) {
  await page.getByLabel('Search').fill(term);
  await page.locator('#count', { hasText: `${count} session` }).waitFor();
  await page.locator('#count', { hasText: `${count} on this page` }).waitFor();
}

async function token(browser) {
  const page = await open(browser, null);
  await page.goto(wish.url);
  const asked = page.getByRole('dialog', { name: 'Token' });
  await asked.waitFor();
  await audit(page, 'the question for the token');
  await asked.getByLabel('Token').fill('not the token at all');
  await page.keyboard.press('Enter');
  await asked.getByText('This is not the token.').waitFor();
  await asked.getByLabel('Token').fill(wish.token);
  await page.keyboard.press('Enter');
  await ready(page);
  seen.kept = await page.evaluate(() => [{ ...sessionStorage }, { ...localStorage }]);
  await page.close();
}

async function overview(page) {
  const chart = page.getByRole('img', { name: /^Messages: from clients [1-9]/ });
  await chart.waitFor();
  const before = await chart.getAttribute('aria-label');
  await page.waitForFunction((label) => !document.querySelector(`svg[aria-label="${label}"]`), before);
  seen.charts = await page.locator('#charts svg').evaluateAll((all) => all.map((svg) => svg.ariaLabel));
  seen.facts = await page.locator('#facts').innerText();
  seen.pools = await page.locator('#pool-list').innerText();
  seen.pipelines = await page.locator('.way').evaluateAll((ways) => ways.map((way) => way.innerText));
}

async function pictures(page) {
  if (wish.images) await page.waitForTimeout(30_000); // for charts that have something to show
  for (const view of VIEWS) {
    seen.views.push(await look(page, view, wish.images));
    await audit(page, view.name);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(DESKTOP);
  await page.getByLabel('Theme').selectOption('dark');
  seen.switched = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.getByLabel('Theme').selectOption('');
}

async function table(page) {
  seen.firstPage = (await cells(page, 2)).length;
  await page.getByRole('button', { name: 'Next page' }).click();
  await page.getByRole('button', { name: 'First page', disabled: false }).waitFor();
  await page.waitForFunction((count) => document.querySelectorAll('#rows tr').length < count, seen.firstPage);
  seen.secondPage = (await cells(page, 2)).length;
  await page.getByRole('button', { name: 'First page' }).click();
  await search(page, '/feed', 6);
  const path = page.getByRole('columnheader', { name: 'Path' });
  await path.getByRole('button').click();
  const ascending = await cells(page, 2);
  await path.getByRole('button').click();
  seen.sorted = [await path.getAttribute('aria-sort'), ascending, await cells(page, 2)];
}

/** From the search to the frames of a session and back, without a mouse. */
async function keyboard(page) {
  await search(page, wish.victim, 1);
  await page.getByLabel('Search').focus();
  seen.outline = await tabTo(page, '#rows button');
  await page.keyboard.press('Enter');
  await dialog(page).waitFor();
  await dialog(page).getByText(wish.victim).first().waitFor();
  await tabTo(page, '#tap');
  await page.keyboard.press('Enter');
  await page.locator('#frames tr').nth(5).waitFor();
  await tabTo(page, '#ping');
  await page.keyboard.press('Enter');
  await dialog(page).locator('dl', { hasText: /Client’s round trip\s*[\d.]+ ms/ }).waitFor();
  await audit(page, 'a session');
  if (wish.images) await page.screenshot({ path: `${wish.images}/dashboard-session.png` });
  await tabTo(page, '#tap');
  await page.keyboard.press('Enter');
  seen.frames = await page.locator('#frames tr').evaluateAll((rows) =>
    rows.map((row) => [...row.cells].map((cell) => cell.innerText)));
  await page.keyboard.press('Escape');
  seen.escaped = await page.evaluate(() =>
    [document.getElementById('detail').open, document.activeElement.closest('#rows') !== null]);
}

async function close(page) {
  await page.locator('#rows button').click();
  await dialog(page).getByRole('button', { name: 'Close …' }).click();
  const question = page.getByRole('dialog', { name: 'Close this session?' });
  await audit(page, 'the question before a close');
  await page.keyboard.press('Escape');
  await question.waitFor({ state: 'hidden' });
  seen.keptOpen = await dialog(page).isVisible();
  await dialog(page).getByRole('button', { name: 'Close …' }).click();
  await question.getByLabel('Code').fill('4321');
  await question.getByLabel('Reason').fill('seen enough');
  await question.getByRole('button', { name: 'Close it' }).click();
  await dialog(page).getByText('This session is over.').waitFor();
  await page.keyboard.press('Escape');
  await page.getByLabel('Search').fill('');
}

async function reload(page) {
  const button = page.getByRole('button', { name: 'Reload the config' });
  const result = page.locator('#reloaded');
  seen.reloads = [];
  const config = fs.readFileSync(wish.config, 'utf8');
  for (const text of [config, `${config}\nnonsense: true\n`, config.replace('/feed', '/other')]) {
    fs.writeFileSync(wish.config, text);
    const before = await result.innerText();
    await button.click();
    await page.waitForFunction((old) => {
      const told = document.getElementById('reloaded');
      return !told.hidden && told.innerText !== old && !document.getElementById('reload').disabled;
    }, before);
    seen.reloads.push(await result.innerText());
  }
  await page.locator('.way', { hasText: '/other' }).waitFor();
}

async function drain(page) {
  const row = page.locator('.pool tr', { hasText: wish.spare });
  await row.getByRole('button', { name: 'Drain' }).click();
  await page.locator('#drain-told', { hasText: wish.spare }).waitFor();
  await row.getByText('drained').waitFor();
  seen.drained = await row.innerText();
  await row.getByRole('button', { name: 'Use again' }).click();
  await row.getByRole('button', { name: 'Drain' }).waitFor();
}

/** Answers with hostile names in them: what the gateway is told is not its own. */
async function hostile(browser) {
  const page = await open(browser);
  const poison = (value) =>
    typeof value === 'string' ? `${value}${HOSTILE}`
      : Array.isArray(value) ? value.map(poison)
        : value && typeof value === 'object'
          ? Object.fromEntries(Object.entries(value).map(([name, it]) => [name, name === 'kind' ? it : poison(it)]))
          : value;
  await page.route(/\/api\/v1\/(sessions|pools|config|status)/, async (route) => {
    const answer = await route.fetch();
    const page = await answer.json();
    const json = poison(page);
    if (page.next) json.next = page.next;
    await route.fulfill({ response: answer, json });
  });
  await page.goto(wish.url);
  await page.locator('#rows tr').first().waitFor();
  await page.locator('.way').first().waitFor();
  await page.locator('#rows button').first().click();
  await dialog(page).getByText('onerror').first().waitFor();
  seen.hostile = await page.evaluate(() => [window.hostile === undefined,
    document.querySelectorAll('img[src="x"]').length, document.body.innerText.includes('onerror=')]);
  seen.poisoned = await page.evaluate(() => window.violations);
  await page.close();
}

/** A gateway that drains: eight sessions wait for their Close, then three. */
async function progress(browser) {
  const page = await open(browser);
  let change = {};
  await page.route('**/api/v1/status', async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...await answer.json(), ...change } });
  });
  await page.goto(wish.url);
  await ready(page);
  change = { state: 'draining', draining: 8 };
  await page.getByText('8 sessions of 8 still to be closed').waitFor();
  change = { state: 'draining', draining: 3 };
  await page.getByText('3 sessions of 8 still to be closed').waitFor();
  seen.progress = await page.evaluate(() => [document.getElementById('drained').position,
    document.getElementById('state').textContent, document.getElementById('announcer').textContent]);
  await page.close();
}

/** The page while the gateway does not answer, and while it is hidden. */
async function silence(browser) {
  const page = await open(browser);
  await page.goto(wish.url);
  await ready(page);
  await page.route('**/api/v1/status', (route) => route.abort());
  await page.getByRole('alert').filter({ hasText: 'does not answer' }).waitFor();
  await page.unroute('**/api/v1/status');
  await page.locator('#banner').waitFor({ state: 'hidden' });
  await page.close();

  const hidden = await open(browser);
  await hidden.clock.install();
  await hidden.goto(wish.url);
  await ready(hidden);
  await hidden.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await hidden.waitForLoadState('networkidle');
  let asked = 0;
  hidden.on('request', () => { asked += 1; });
  await hidden.clock.runFor(30_000);
  seen.askedWhileHidden = asked;
  const again = hidden.waitForRequest(/status/);
  await hidden.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: false });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await again;
  await hidden.close();
}

async function visit(browser) {
  await token(browser);
  const page = await open(browser);
  record(page);
  await page.goto(wish.url);
  await ready(page);
  await overview(page);
  await pictures(page);
  await table(page);
  await keyboard(page);
  await close(page);
  await drain(page);
  await reload(page);
  seen.violations = await page.evaluate(() => window.violations);
  await page.close();
  await hostile(browser);
  await progress(browser);
  await silence(browser);
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
