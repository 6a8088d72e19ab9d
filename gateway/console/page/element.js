// Helpers to change the page.

/** The element with an id that the page has. @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * @param {string} name @param {string} className @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className !== '') made.className = className;
  made.append(...children);
  return made;
}

/**
 * Shows text in every element of a figure. Unchanged text is not touched, so that nothing flickers.
 *
 * @param {string} figure @param {string} text
 */
export function show(figure, text) {
  for (const target of document.querySelectorAll(`[data-figure="${figure}"]`)) {
    if (target.textContent !== text) target.textContent = text;
  }
}

/**
 * Makes the items of a list those of the rows, and keeps existing items, by key.
 *
 * @template Row
 * @param {HTMLElement} list @param {Row[]} rows
 * @param {{ key: (row: Row) => string, make: () => HTMLElement, fill: (item: HTMLElement, row: Row) => void
 * }} how
 */
export function fillList(list, rows, { key, make, fill }) {
  const items = new Map();
  for (const item of list.children) {
    if (item instanceof HTMLElement) items.set(item.dataset['key'], item);
  }
  rows.forEach((row, index) => {
    const name = key(row);
    const item = items.get(name) ?? make();
    items.delete(name);
    item.dataset['key'] = name;
    fill(item, row);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
  for (const item of items.values()) item.remove();
}
