// The frames of one session, as they pass.

import * as api from './api.js';
import { announce, byId, make, say } from './dom.js';
import { bytes, clock, counted, number } from './format.js';

const MOST_SHOWN = 200;
const SHOWS = {
  headers: 'Payloads are not shown: the config does not allow it.',
  payload: 'Of payloads the beginning of uncompressed text is shown.',
};

let ending = null; // ends the tap
let seen;
let waiting; // what is shown with the next picture

export function startTap(id) {
  stopTap();
  const mine = ending = new AbortController();
  [seen, waiting] = [{ frames: 0, bytes: 0, lost: 0, shows: 'headers' }, []];
  byId('frames').replaceChildren();
  byId('tapped').hidden = false;
  press(true);
  say(byId('tap-state'), 'Waiting for frames.');
  api.follow(`sessions/${encodeURIComponent(id)}/tap`, mine.signal, take)
    .then(() => 'The tap has ended.', (error) => (mine.signal.aborted ? '' : error.message))
    .then((words) => {
      if (ending !== mine) return;
      if (words) waiting.push({ told: words });
      announce(words);
      finish();
    });
}

export function stopTap() {
  if (!ending) return;
  ending.abort();
  finish();
}

function finish() {
  ending = null;
  press(false);
  draw();
}

function press(isOn) {
  byId('tap').setAttribute('aria-pressed', String(isOn));
  say(byId('tap'), isOn ? 'Stop showing frames' : 'Show its frames');
}

function take(value) {
  if (!waiting.length) requestAnimationFrame(draw);
  waiting.push(value);
  if ('tapping' in value) seen.shows = value.shows;
  else if ('lost' in value) seen.lost += value.lost;
  else if ('size' in value) {
    seen.frames += 1;
    seen.bytes += value.size;
  }
}

function draw() {
  const rows = waiting.filter((value) => !('tapping' in value)).slice(-MOST_SHOWN).map(row).reverse();
  waiting = [];
  const list = byId('frames');
  list.prepend(...rows);
  while (list.childElementCount > MOST_SHOWN) list.lastChild.remove();
  if (ending || seen.frames || seen.lost) {
    const lost = seen.lost ? `, ${number(seen.lost)} not shown because they came too fast` : '';
    say(byId('tap-state'), `${counted(seen.frames, 'frame')}, ${bytes(seen.bytes)} of payload${lost}. ${SHOWS[seen.shows]}`);
  }
}

function row(value) {
  if ('lost' in value) return told(`${counted(value.lost, 'frame')} not shown`);
  if ('ended' in value) return told(`The session is over: ${value.ended.by}, ${value.ended.code}, ${value.ended.cause}`);
  if ('moved' in value) return told('The session has moved to a new process. Show its frames again to go on.');
  if ('told' in value) return told(value.told);
  const flags = [value.fin ? '' : 'more follows', value.compressed && 'compressed', value.masked && 'masked'];
  const type = value.code === undefined || value.code === null ? value.type : `${value.type} ${value.code}`;
  const cells = [clock(value.at), value.from, type, number(value.size), flags.filter(Boolean).join(', '), value.payload ?? ''];
  return make('tr', {}, ...cells.map((textContent, at) => make('td', { textContent, className: at === 3 ? 'number' : '' })));
}

const told = (textContent) => make('tr', {}, make('td', { colSpan: 6, textContent }));
