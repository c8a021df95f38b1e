// The table of open sessions: the API searches and pages, this page sorts what it shows.

import * as api from './api.js';
import { openDetail } from './detail.js';
import { announce, byId, keep, make, say } from './dom.js';
import { bytes, counted, duration, number } from './format.js';

const labelsOf = ({ labels }) => Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(' ');

// Title, what it is sorted by, and how it is written.
const COLUMNS = [
  ['Client', (it) => it.client],
  ['Path', (it) => it.path],
  ['Route', (it) => it.route],
  ['Backend', (it) => it.backend],
  ['Age', (it) => it.age, duration],
  ['Messages in', (it) => it.messages_in, number],
  ['Messages out', (it) => it.messages_out, number],
  ['Bytes in', (it) => it.bytes_in, bytes],
  ['Bytes out', (it) => it.bytes_out, bytes],
  ['Held', (it) => it.held, bytes],
  ['Config', (it) => it.generation, number],
  ['Labels', labelsOf],
];

let sorting = { column: null, down: false };
let after = null; // the page that is shown begins behind this session
let next = null;
let shown = [];
let announced = ''; // the search and page whose count was read aloud

export function start() {
  byId('columns').append(...COLUMNS.map(([title, , isNumber], at) => {
    const button = make('button', { type: 'button', textContent: title });
    button.addEventListener('click', () => sortBy(at));
    return make('th', { scope: 'col', className: isNumber ? 'number' : '' }, button);
  }));
  byId('search').addEventListener('submit', (event) => event.preventDefault());
  byId('term').addEventListener('input', () => turnTo(null));
  byId('limit').addEventListener('change', () => turnTo(null));
  byId('first').addEventListener('click', () => turnTo(null));
  byId('next').addEventListener('click', () => turnTo(next));
}

function turnTo(place) {
  after = place;
  poll().catch(() => {}); // the next poll tells
}

export async function poll() {
  const asked = query();
  const page = await api.call(`sessions?${asked}`);
  if (asked === query()) show(page, asked); // else another answer is on its way
}

function query() {
  const asked = new URLSearchParams({ limit: byId('limit').value });
  const term = byId('term').value.trim();
  if (term) asked.set('search', term);
  if (after) asked.set('after', after);
  return String(asked);
}

function show(page, asked) {
  shown = page.sessions;
  next = page.next;
  byId('first').disabled = !after;
  byId('next').disabled = !next;
  const which = asked.includes('search=') ? 'that match' : 'open';
  const told = `${counted(page.total, 'session')} ${which}, ${number(shown.length)} on this page`;
  say(byId('count'), told);
  if (announced && announced !== asked) announce(told);
  announced = asked;
  draw();
}

function draw() {
  keep(byId('rows'), sorted(shown), ({ id }) => id, createRow, updateRow);
}

function createRow(session) {
  const button = make('button', { type: 'button', title: `session ${session.id}` });
  button.addEventListener('click', () => openDetail(session.id, button));
  const cells = COLUMNS.map(([, , isNumber]) => make('td', { className: isNumber ? 'number' : '' }));
  cells[0].append(button);
  return make('tr', {}, ...cells);
}

function updateRow(row, session) {
  COLUMNS.forEach(([, valueOf, write = String], at) => {
    const text = write(valueOf(session));
    say(at ? row.cells[at] : row.cells[0].firstChild, text);
    if (at && row.cells[at].title !== text) row.cells[at].title = text;
  });
}

function sortBy(column) {
  sorting = { column, down: sorting.column === column && !sorting.down };
  [...byId('columns').cells].forEach((cell, at) => {
    if (at === column) cell.setAttribute('aria-sort', sorting.down ? 'descending' : 'ascending');
    else cell.removeAttribute('aria-sort');
  });
  draw();
}

function sorted(sessions) {
  if (sorting.column === null) return sessions;
  const valueOf = COLUMNS[sorting.column][1];
  const order = [...sessions].sort((a, b) => {
    const [x, y] = [valueOf(a), valueOf(b)];
    return typeof x === 'number' ? x - y : x.localeCompare(y);
  });
  return sorting.down ? order.reverse() : order;
}
