// The dashboard: asks the admin API once a second, while the page is seen.
//
//   main       polling, the theme, the banner
//   overview   state, charts, reload, drain         charts, figures
//   pools      servers and their health
//   pipelines  the config as a picture
//   sessions   the table                            detail, tap
//   api        requests and the token
//   dom, format

import * as api from './api.js';
import * as detail from './detail.js';
import { byId, say } from './dom.js';
import * as overview from './overview.js';
import { showHealth, showObjects } from './pipelines.js';
import { showNoPools, showPools } from './pools.js';
import * as sessions from './sessions.js';

const PERIOD = 1000;
const THEME = 'easews-theme';

let generation = null; // whose config is shown
let visit = 0; // a new one each time that the page is seen again

async function poll() {
  try {
    const status = await api.call('status');
    overview.showStatus(status);
    await Promise.all([
      api.text('metrics').then(overview.showFigures).catch(unless(overview.showNoFigures)),
      pollPools(status.generation).catch(unless(showNoPools)),
      sessions.poll(),
      detail.poll(),
    ]);
    byId('banner').hidden = true;
  } catch (error) {
    lost(error);
  }
}

/** A part that the gateway refuses leaves the others as they are. */
const unless = (tell) => (error) => {
  if (!(error instanceof api.Refused)) throw error;
  tell(error.message);
};

async function pollPools(served) {
  if (generation !== served) {
    showObjects(await api.call('config'));
    generation = served;
  }
  const pools = await api.call('pools');
  showPools(pools);
  showHealth(pools);
}

function lost(error) {
  const why = error instanceof api.Refused ? error.message : 'The gateway does not answer.';
  say(byId('banner'), `${why} What you see is old; it is asked again every second.`);
  byId('banner').hidden = false;
  byId('state').dataset.state = 'lost';
  say(byId('state'), 'no answer');
}

/** Nobody looks at a hidden page. */
async function pollWhileSeen() {
  const mine = visit += 1;
  while (mine === visit && !document.hidden) {
    const began = performance.now();
    await poll();
    await sleep(Math.max(100, PERIOD - (performance.now() - began)));
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function setTheme(theme) {
  byId('theme').value = theme;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

byId('theme').addEventListener('change', ({ target }) => {
  localStorage.setItem(THEME, target.value);
  setTheme(target.value);
});
setTheme(localStorage.getItem(THEME) ?? '');
overview.start();
sessions.start();
detail.start();
document.addEventListener('visibilitychange', pollWhileSeen);
pollWhileSeen();
