// Numbers and times for people.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(count) {
  let unit = 0;
  while (count >= 1024 && unit < UNITS.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${UNITS[unit]}`;
}

export const number = (count) =>
  (count < 10 && count % 1 ? count.toFixed(1) : Math.round(count).toLocaleString('en'));

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [86400, 3600, 60].map((size) => Math.floor(whole / size));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  if (minutes) return `${minutes} min ${whole % 60} s`;
  return `${whole} s`;
}

export const milliseconds = (seconds) =>
  (seconds === null ? 'not measured' : `${(seconds * 1000).toFixed(1)} ms`);

export const time = (unix) => new Date(unix * 1000).toLocaleString('sv');

export const clock = (unix) => new Date(unix * 1000).toISOString().slice(11, 23);

export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
