// The gateway as a whole: its state, its figures, its reloads and what drains.

import * as api from './api.js';
import { Chart, place } from './charts.js';
import { announce, byId, describe, keep, make, say } from './dom.js';
import { sums } from './figures.js';
import { bytes, counted, duration, number, time } from './format.js';

const perSecond = (show) => (value) => `${show(value)}/s`;
const open = new Chart('Open sessions', [''], number);
const messages = new Chart('Messages', ['from clients', 'from backends'], perSecond(number));
const traffic = new Chart('Bytes', ['from clients', 'from backends'], perSecond(bytes));
const held = new Chart('Held for slow readers', [''], bytes);
const memory = new Chart('Memory', [''], bytes);

let last = null; // the counts of the poll before, and when that was
let mostDraining = 0;
let known = {};

export function start() {
  place(messages, traffic, open, held, memory);
  byId('reload').addEventListener('click', reload);
}

export function showStatus(status) {
  const state = byId('state');
  state.dataset.state = status.state;
  say(state, status.state);
  say(byId('version'), `version ${status.version}, generation ${status.generation}`);
  describe(byId('facts'), facts(status));
  open.add(status.sessions);
  held.add(status.held);
  showDraining(status.draining);
  showWorkers(status.workers);
  for (const name of ['state', 'generation']) {
    if (known[name] !== undefined && known[name] !== status[name]) announce(`The ${name} is now ${status[name]}.`);
  }
  known = status;
}

function facts(status) {
  const older = status.older.map(({ generation, sessions }) => `${generation}: ${counted(sessions, 'session')}`);
  const listeners = status.listeners.map(({ server, address, tls }) => `${server} ${address}${tls ? ' TLS' : ''}`);
  return [
    ['Sessions', number(status.sessions)],
    ['Held bytes', bytes(status.held)],
    ['Draining', number(status.draining)],
    ['Generation', status.generation],
    ['Older generations', older.join(', ') || 'none'],
    ['Up for', duration(Date.now() / 1000 - status.started)],
    ['Runs on', [status.backend, status.relay].filter(Boolean).join(', ')],
    ['Listens on', listeners.join(', ') || 'nothing'],
    ['Process', status.kept_behind ? `${status.pid}, ${counted(status.kept_behind, 'session')} in an older one` : status.pid],
  ];
}

function showDraining(count) {
  mostDraining = count ? Math.max(mostDraining, count) : 0;
  byId('progress').hidden = !count;
  if (!count) return;
  const bar = byId('drained');
  bar.max = mostDraining;
  bar.value = mostDraining - count;
  say(byId('draining'), `${counted(count, 'session')} of ${number(mostDraining)} still to be closed`);
}

const WORKER = ['number', 'pid', 'state', 'sessions', 'restarts'];

function showWorkers(workers) {
  const room = byId('workers');
  room.hidden = !workers.length;
  if (room.hidden) return;
  if (!room.firstChild) {
    const titles = ['Worker', 'Process', 'State', 'Sessions', 'Restarts'];
    const head = make('tr', {}, ...titles.map((textContent) => make('th', { scope: 'col', textContent })));
    room.append(make('table', {}, make('thead', {}, head), make('tbody')));
  }
  keep(room.querySelector('tbody'), workers, ({ number: name }) => String(name),
    () => make('tr', {}, ...WORKER.map(() => make('td'))),
    (row, worker) => WORKER.forEach((name, at) => say(row.cells[at], String(worker[name]))));
}

/** What only the metrics know: rates and memory. */
export function showFigures(text) {
  const found = sums(text);
  const now = performance.now() / 1000;
  const counts = ['messages', 'bytes'].map((what) =>
    ['client', 'backend'].map((sender) => found.get(`easews_session_${what}_total ${sender}`) ?? 0));
  memory.add(found.get('easews_process_resident_memory_bytes') ?? 0);
  if (last) {
    const rate = (what, sender) =>
      Math.max(0, (counts[what][sender] - last.counts[what][sender]) / (now - last.now));
    messages.add(rate(0, 0), rate(0, 1));
    traffic.add(rate(1, 0), rate(1, 1));
  }
  last = { counts, now };
  byId('no-figures').hidden = true;
}

export function showNoFigures(reason) {
  say(byId('no-figures'), `Rates and memory are not known: ${reason}`);
  byId('no-figures').hidden = false;
}

async function reload() {
  const button = byId('reload');
  button.disabled = true;
  try {
    showReload(await api.call('reload', {}));
  } catch (error) {
    showReload({ outcome: 'failed', changes: [], problems: [error.message] });
  }
  button.disabled = false;
  button.focus();
}

function showReload({ outcome, generation, changes, problems }) {
  const words = {
    reloaded: `Reloaded: generation ${generation} is served.`,
    unchanged: 'Nothing has changed.',
    refused: 'Refused: the config before is still served.',
    failed: 'The reload has failed.',
  };
  const lines = [...problems, ...changes].map((textContent) => make('li', { textContent }));
  const note = byId('reloaded');
  note.replaceChildren(
    make('strong', { textContent: words[outcome] ?? outcome, className: problems.length ? 'bad' : 'good' }),
    make('span', { className: 'soft', textContent: ` ${time(Date.now() / 1000)}` }),
    ...(lines.length ? [make('ul', {}, ...lines)] : []));
  note.hidden = false;
}
