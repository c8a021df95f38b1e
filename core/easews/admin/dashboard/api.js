// The admin API. The token is asked for when the API wants one, and kept by this tab only.

import { byId } from './dom.js';

const KEPT = 'easews-token';
const PATIENCE = 5000;

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

let asking = null;

/** What the API answers, read as JSON. Refused: with its reason. TypeError: it does not answer. */
export async function call(path, body) {
  const answer = await ask(`api/v1/${path}`, body, AbortSignal.timeout(PATIENCE));
  return answer.json();
}

export async function text(path) {
  return (await ask(path, undefined, AbortSignal.timeout(PATIENCE))).text();
}

/** Calls `tell` with each value of an answer that comes line by line, until `signal`. */
export async function follow(path, signal, tell) {
  const answer = await ask(`api/v1/${path}`, undefined, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.trim()) tell(JSON.parse(line));
  }
}

async function ask(url, body, signal) {
  const token = sessionStorage.getItem(KEPT);
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const options = { headers, signal, cache: 'no-store' };
  if (body !== undefined) Object.assign(options, { method: 'POST', body: JSON.stringify(body) });
  const answer = await fetch(url, options);
  if (answer.status === 401) {
    await askForToken(token);
    return ask(url, body, signal.aborted ? AbortSignal.timeout(PATIENCE) : signal);
  }
  if (!answer.ok) throw new Refused(answer.status, await reasonOf(answer));
  return answer;
}

async function reasonOf(answer) {
  try {
    const problem = await answer.json();
    return problem.detail || problem.title;
  } catch {
    return `The gateway has answered ${answer.status}.`;
  }
}

/** Resolves when there is another token than `refused`. All who wait share one question. */
function askForToken(refused) {
  if (sessionStorage.getItem(KEPT) !== refused) return Promise.resolve();
  asking ??= new Promise((resolve) => {
    const dialog = byId('asking');
    byId('token').value = '';
    byId('wrong-token').hidden = refused === null;
    dialog.addEventListener('close', () => {
      sessionStorage.setItem(KEPT, byId('token').value);
      asking = null;
      resolve();
    }, { once: true });
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    dialog.showModal();
  });
  return asking;
}
