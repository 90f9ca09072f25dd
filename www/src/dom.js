// Short words for making elements.

/** An element with a class and text, or with children in place of the text. */
export function make(tag, className = '', content = '') {
  const element = document.createElement(tag);
  if (className)
    element.className = className;
  element.append(...[content].flat());
  return element;
}

/** An SVG element with attributes. */
export function makeSvg(tag, attributes = {}) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes))
    element.setAttribute(name, value);
  return element;
}

/** Writes only what changed: a live region must not be told the same twice. */
export function write(element, text) {
  if (element.textContent !== text)
    element.textContent = text;
}

/** A description list of [term, text or elements] pairs. */
export function makeList(className, pairs) {
  const rows = pairs.map(([term, content]) => make('div', '', [make('dt', '', term), make('dd', '', content)]));
  return make('dl', className, rows);
}
