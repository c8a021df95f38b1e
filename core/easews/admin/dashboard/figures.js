// Sums of metrics, out of OpenMetrics text.

const LINE = /^([a-z_]+)(?:\{(.*)\})? ([^ ]+)/;

/** The sum of each metric, and of each value of its label `sender`: `name` and `name client`. */
export function sums(text) {
  const found = new Map();
  for (const line of text.split('\n')) {
    const [, name, labels, value] = LINE.exec(line) ?? [];
    if (!name) continue;
    const sender = /sender="(\w+)"/.exec(labels ?? '')?.[1];
    for (const key of sender ? [name, `${name} ${sender}`] : [name]) {
      found.set(key, (found.get(key) ?? 0) + Number(value));
    }
  }
  return found;
}
