// The pools, and how their servers are.

import * as api from './api.js';
import { announce, byId, keep, make, say } from './dom.js';
import { duration, number } from './format.js';

const GOOD = new Set(['up']);
const BAD = new Set(['down', 'ejected', 'open']);
const states = new Map();

export const healthClass = (state) => (GOOD.has(state) ? 'good' : BAD.has(state) ? 'bad' : 'warn');

const keyOf = ({ pipeline, filter, pool }) => `${pipeline}\n${filter}\n${pool}`;

export function showPools(pools) {
  byId('no-pools').hidden = pools.length > 0;
  say(byId('no-pools'), 'No filter has a pool.');
  keep(byId('pool-list'), pools, keyOf, createPool, updatePool);
}

export function showNoPools(reason) {
  say(byId('no-pools'), `The pools are not known: ${reason}`);
  byId('no-pools').hidden = false;
}

const COLUMNS = ['Server', 'State', 'Since', 'Active', 'Weight', 'Why', 'Drain'];

function createPool(pool) {
  const title = `${pool.pipeline} / ${pool.filter}, pool ${pool.pool}`;
  const head = COLUMNS.map((textContent) =>
    make('th', { scope: 'col', textContent, className: isNumber(textContent) ? 'number' : '' }));
  return make('div', { className: 'pool' },
    make('h3', { textContent: title }), make('p', { className: 'soft' }),
    make('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': `Servers of ${title}` },
      make('table', {}, make('thead', {}, make('tr', {}, ...head)), make('tbody'))));
}

const isNumber = (column) => column === 'Active' || column === 'Weight';

function updatePool(card, pool) {
  say(card.children[1], `${pool.policy}, ${pool.servers.length === 1 ? '1 server' : `${pool.servers.length} servers`}`);
  keep(card.querySelector('tbody'), pool.servers, ({ url }) => url, createServer, updateServer);
}

function createServer({ url }) {
  const button = make('button', { type: 'button', className: 'small' });
  button.addEventListener('click', () => drain(button, url));
  const cells = COLUMNS.slice(1, -1).map((column) => make('td', { className: isNumber(column) ? 'number' : '' }));
  return make('tr', {}, make('td', { textContent: url }), ...cells, make('td', {}, button));
}

function updateServer(row, server) {
  const [, state, since, active, weight, why, drains] = row.cells;
  say(state, server.state);
  state.className = `health ${healthClass(server.state)}`;
  say(since, server.since === null ? '' : `${duration(Date.now() / 1000 - server.since)}`);
  say(active, number(server.active));
  say(weight, number(server.weight));
  say(why, server.error ?? '');
  const isDrained = server.state === 'drained';
  const button = drains.firstChild;
  button.dataset.does = isDrained ? 'undrain' : 'drain';
  say(button, isDrained ? 'Use again' : 'Drain');
  button.setAttribute('aria-label', `${button.textContent}: ${server.url}`);
  const before = states.get(server.url);
  if (before !== undefined && before !== server.state) announce(`The server ${server.url} is ${server.state}.`);
  states.set(server.url, server.state);
}

function tell(text) {
  say(byId('drain-told'), text);
  byId('drain-told').hidden = false;
}

async function drain(button, url) {
  button.disabled = true;
  try {
    const does = button.dataset.does;
    await api.call(`servers/${does}`, { url });
    tell(does === 'drain' ? `${url} gets nothing new, and its sessions are closed slowly.` : `${url} is used again.`);
  } catch (error) {
    tell(`${url}: ${error.message}`);
  }
  button.disabled = false;
  button.focus();
}
