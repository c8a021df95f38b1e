// What the other modules make elements with. Text becomes text, never HTML.

export const byId = (id) => document.getElementById(id);

/** An element. `fields` are its properties; those with a hyphen, and `role`, its attributes. */
export function make(tag, fields = {}, ...children) {
  return filled(document.createElement(tag), fields, children);
}

export function makeSvg(tag, fields = {}, ...children) {
  const part = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(fields)) part.setAttribute(name, value);
  part.append(...children);
  return part;
}

function filled(part, fields, children) {
  for (const [name, value] of Object.entries(fields)) {
    if (name.includes('-') || name === 'role') part.setAttribute(name, value);
    else part[name] = value;
  }
  part.append(...children);
  return part;
}

/** Sets the text where it is another one: what has not changed is not read aloud again. */
export function say(part, text) {
  if (part.textContent !== text) part.textContent = text;
}

/** A list of terms and what they say, kept as it is where that has not changed. */
export function describe(list, facts) {
  const terms = facts.map(([term]) => term).join('\n');
  if (list.dataset.terms !== terms) {
    list.dataset.terms = terms;
    list.replaceChildren(...facts.map(([term]) => make('div', {}, make('dt', { textContent: term }), make('dd'))));
  }
  facts.forEach(([, text], at) => say(list.children[at].lastChild, String(text)));
}

/** Keeps one child for each of `items`, in their order, and the focus where it was. */
export function keep(parent, items, keyOf, create, update) {
  const focused = document.activeElement;
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = before.get(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    before.delete(key);
    update(child, item);
    if (child === place) place = place.nextSibling;
    else parent.insertBefore(child, place);
  }
  for (const gone of before.values()) gone.remove();
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus();
}

/** Announces what has changed to those who do not see it. */
export function announce(text) {
  byId('announcer').textContent = text;
}
