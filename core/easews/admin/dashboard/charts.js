// Charts that move: the last two minutes, a value a second.

import { byId, make, makeSvg, say } from './dom.js';

const SAMPLES = 120;
const [WIDTH, HEIGHT] = [SAMPLES - 1, 100];

/** One chart. `series` are the names of its lines, at most two; `show` writes a value. */
export class Chart {
  constructor(title, series, show) {
    this.title = title;
    this.show = show;
    this.series = series.map((name, at) => new Series(name, at ? 'two' : 'one'));
    this.now = make('span', { className: 'now' });
    this.top = make('span');
    this.svg = makeSvg('svg', { role: 'img', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none' },
      makeSvg('path', { class: 'grid', d: `M0 0H${WIDTH}M0 50H${WIDTH}M0 ${HEIGHT}H${WIDTH}` }),
      ...this.series.flatMap((each) => [each.area, each.line]));
    this.figure = make('figure', { className: series.length > 1 ? 'wide' : '' },
      make('figcaption', {}, make('span', { textContent: title }), this.now),
      make('div', { className: 'axis' }, this.top, make('span', { textContent: '2 minutes' })),
      this.svg);
  }

  add(...values) {
    this.series.forEach((each, at) => each.add(values[at]));
    const highest = Math.max(...this.series.map((each) => each.highest));
    this.series.forEach((each) => each.draw(highest || 1));
    const told = this.series.map((each) => `${each.name} ${this.show(each.latest)}`.trim()).join(', ');
    this.now.replaceChildren(...this.series.flatMap((each, at) => [
      at ? ', ' : '',
      make('span', { className: each.className, textContent: `${each.mark}${each.name} ${this.show(each.latest)}` }),
    ]));
    say(this.top, `up to ${this.show(highest)}`);
    this.svg.setAttribute('aria-label', `${this.title}: ${told}. At most ${this.show(highest)} in the last two minutes.`);
  }
}

class Series {
  constructor(name, className) {
    this.name = name;
    this.className = className;
    this.mark = name ? (className === 'one' ? '— ' : '┄ ') : '';
    this.values = [];
    this.line = makeSvg('path', { class: `series ${className}` });
    this.area = makeSvg('path', { class: `area ${className}` });
  }

  get latest() { return this.values.at(-1) ?? 0; }

  get highest() { return Math.max(0, ...this.values); }

  add(value) {
    this.values.push(value);
    if (this.values.length > SAMPLES) this.values.shift();
  }

  draw(highest) {
    const first = SAMPLES - this.values.length;
    const points = this.values.map((value, at) => `${first + at} ${(HEIGHT * (1 - (value / highest) * 0.95)).toFixed(1)}`);
    this.line.setAttribute('d', `M${points.join('L')}`);
    this.area.setAttribute('d', `M${first} ${HEIGHT}L${points.join('L')}L${WIDTH} ${HEIGHT}Z`);
  }
}

export function place(...charts) {
  byId('charts').append(...charts.map((chart) => chart.figure));
}
