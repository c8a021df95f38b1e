// The config as a picture: paths, filters in the order of the flow, and the servers behind them.

import { byId, make, say } from './dom.js';
import { healthClass } from './pools.js';

const MOST_PATHS = 12;
const MOST_PIPELINES = 100;

/** `objects` as the config has them. */
export function showObjects(objects) {
  const pipelines = objects.filter(({ kind }) => kind === 'Pipeline');
  const paths = pathsByPipeline(objects.filter(({ kind }) => kind === 'HTTPServer'));
  const left = pipelines.length - MOST_PIPELINES;
  byId('no-pipelines').hidden = pipelines.length > 0 && left <= 0;
  say(byId('no-pipelines'), left > 0 ? `${left} more pipelines are not shown.` : 'There is no pipeline.');
  byId('ways').replaceChildren(...pipelines.slice(0, MOST_PIPELINES)
    .map((pipeline) => way(pipeline, paths.get(pipeline.name) ?? [])));
}

/** Colours the servers by their health. */
export function showHealth(pools) {
  const states = new Map(pools.flatMap(({ servers }) => servers.map(({ url, state }) => [url, state])));
  for (const part of byId('ways').querySelectorAll('[data-url]')) {
    const state = states.get(part.dataset.url);
    part.className = state ? `health ${healthClass(state)}` : '';
    say(part, state ?? '');
  }
}

function pathsByPipeline(servers) {
  const found = new Map();
  for (const server of servers) {
    for (const rule of server.rules ?? []) {
      for (const entry of rule.paths ?? []) {
        const host = hostOf(rule);
        const told = { server: server.name, text: `${host}${pathOf(entry)}` };
        found.set(entry.backend, [...(found.get(entry.backend) ?? []), told]);
      }
    }
  }
  return found;
}

const hostOf = ({ host, hostRegexp, hosts }) =>
  host || hostRegexp || (hosts ?? []).map(({ value }) => value).join(' ') || '';

const pathOf = ({ path, pathPrefix, pathRegexp }) =>
  path || (pathPrefix && `${pathPrefix}…`) || (pathRegexp && `~ ${pathRegexp}`) || '*';

function way(pipeline, paths) {
  const shown = paths.slice(0, MOST_PATHS).map(({ server, text }) => chip(text, server));
  if (paths.length > MOST_PATHS) shown.push(chip(`and ${paths.length - MOST_PATHS} more`));
  if (!paths.length) shown.push(chip('no path leads here'));
  const filters = inOrder(pipeline);
  const servers = filters.flatMap((filter) => (filter.pools ?? []).flatMap((pool, at) =>
    (pool.servers ?? []).map(({ url }) => server(url, `${filter.name}, pool ${at}`))));
  return make('li', { className: 'way' },
    make('div', {}, make('ul', { className: 'stops', 'aria-label': 'Paths' }, ...shown)), arrow(),
    make('div', {}, make('h3', { textContent: pipeline.name }),
      make('ol', { className: 'filters', 'aria-label': `Filters of ${pipeline.name}` },
        ...filters.map((filter) => chip(filter.name, filter.kind)))),
    ...(servers.length ? [arrow(), make('div', {}, make('ul', { className: 'stops', 'aria-label': 'Servers' }, ...servers))] : []));
}

/** The filters in the order of the flow; without one, as they are written. */
function inOrder({ filters = [], flow = [] }) {
  const byName = new Map(filters.map((filter) => [filter.name, filter]));
  const steps = flow.map((step) => byName.get(step.filter)).filter(Boolean);
  return steps.length ? steps : filters;
}

const arrow = () => make('span', { className: 'arrow', textContent: '→', 'aria-hidden': 'true' });

const chip = (text, below = '') =>
  make('li', {}, make('span', { className: 'chip' }, text, ...(below ? [make('small', { textContent: below })] : [])));

function server(url, below) {
  const health = make('span');
  health.dataset.url = url;
  return make('li', {}, make('span', { className: 'chip' }, `${url} `, health, make('small', { textContent: below })));
}
