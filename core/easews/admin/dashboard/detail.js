// One session: what is known of it, ping and close, and its frames.

import * as api from './api.js';
import { byId, describe, say } from './dom.js';
import { bytes, duration, milliseconds, number, time } from './format.js';
import { startTap, stopTap } from './tap.js';

let current = null; // the id of the session
let opener = null; // where the focus goes back to

export function start() {
  const detail = byId('detail');
  detail.addEventListener('close', left);
  byId('leave').addEventListener('click', () => detail.close());
  byId('ping').addEventListener('click', () => act('ping', {}, 'Pinged. The round trips follow.'));
  byId('tap').addEventListener('click', toggleTap);
  byId('close').addEventListener('click', askToClose);
  byId('closing').addEventListener('close', closeIfAsked);
}

export function openDetail(id, from) {
  [current, opener] = [id, from];
  say(byId('detail-title'), `Session ${id}`);
  say(byId('done'), '');
  byId('gone').hidden = true;
  byId('about').replaceChildren();
  delete byId('about').dataset.terms;
  enable(true);
  byId('detail').showModal();
  poll().catch((error) => say(byId('done'), error.message));
}

export async function poll() {
  const id = current;
  if (id === null || !byId('gone').hidden) return;
  const session = await api.call(`sessions/${encodeURIComponent(id)}`).catch((error) => {
    if (error.status === 404) return null;
    throw error;
  });
  if (id !== current) return;
  if (session) describe(byId('about'), facts(session));
  else ended();
}

function ended() {
  say(byId('gone'), 'This session is over.');
  byId('gone').hidden = false;
  enable(false);
}

function enable(isOpen) {
  for (const id of ['ping', 'close']) byId(id).disabled = !isOpen;
}

function facts(it) {
  const labels = Object.entries(it.labels).map(([name, value]) => `${name}=${value}`);
  return [
    ['Client', it.client], ['Path', it.path], ['Server', it.server], ['Route', it.route],
    ['Pipeline', it.pipeline], ['Backend', it.backend], ['Labels', labels.join(', ') || 'none'],
    ['Opened', time(it.opened)], ['Age', duration(it.age)], ['Handshake', milliseconds(it.handshake)],
    ['From the client', `${number(it.messages_in)} messages, ${bytes(it.bytes_in)}`],
    ['From the backend', `${number(it.messages_out)} messages, ${bytes(it.bytes_out)}`],
    ['Client’s round trip', milliseconds(it.client_rtt)],
    ['Backend’s round trip', milliseconds(it.backend_rtt)],
    ['Held', bytes(it.held)], ['Generation', it.generation],
    ...(it.worker ? [['Worker', it.worker]] : []),
  ];
}

async function act(what, body, done) {
  try {
    await api.call(`sessions/${encodeURIComponent(current)}/${what}`, body);
    say(byId('done'), done);
  } catch (error) {
    say(byId('done'), error.message);
  }
}

function askToClose() {
  say(byId('closing-which'), `Session ${current}`);
  byId('closing').returnValue = 'no';
  byId('closing').showModal();
}

async function closeIfAsked() {
  if (byId('closing').returnValue !== 'yes') return;
  const body = { code: Number(byId('code').value), reason: byId('reason').value };
  await act('close', body, `Close ${body.code} is sent.`);
}

function toggleTap() {
  if (byId('tap').getAttribute('aria-pressed') === 'true') stopTap();
  else startTap(current);
}

function left() {
  stopTap();
  byId('tapped').hidden = true;
  current = null;
  (opener?.isConnected ? opener : byId('term')).focus();
}
