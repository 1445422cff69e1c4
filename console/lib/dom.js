// Elements from data. Text gets into the page by text nodes alone, so that a stream's name with markup in it is a name.

const SVG = 'http://www.w3.org/2000/svg';
// Addresses that a link may lead to; anything else in data (`javascript:…`) is shown and not linked.
const LINKS = /^(#|\/|https?:\/\/|blob:)/;

function put(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'selected') node[name] = value;
    else if (name === 'href' && !LINKS.test(value)) continue;
    else node.setAttribute(name, value === true ? '' : value);
  }
  add(node, children);
  return node;
}

export function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

export const h = (name, props, ...children) => put(document.createElement(name), props, children);
export const svg = (name, props, ...children) => put(document.createElementNS(SVG, name), props, children);

export function empty(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

// What lies over everything else: the window that was opened last, or the page. Outside of a window nothing can be pressed, selected or read out.
export const onTop = () => [...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body;

const kept = new WeakMap();
const FOCUSABLE = 'a[href],button,input,select,textarea,summary,[tabindex]';

// Makes the children of `parent` those of a list, touching only what changed, so that focus, selection and scroll stay where they are.
// `renew(old, fresh)` says which node stands for an item that changed.
export function fill(parent, items, keyOf, make, renew = replace) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map();
  const ours = new Set([...before.values()].map((row) => row.node));
  for (const node of [...parent.childNodes]) if (!ours.has(node)) node.remove();
  let at = parent.firstChild;
  for (const item of items) {
    const key = String(keyOf(item));
    const print = JSON.stringify(item);
    let row = before.get(key);
    if (!row) row = { node: make(item), print };
    else if (row.print !== print) {
      const node = renew(row.node, make(item));
      if (at === row.node) at = node;
      row = { node, print };
    }
    after.set(key, row);
    if (row.node === at) at = at.nextSibling;
    else parent.insertBefore(row.node, at);
  }
  for (const [key, row] of before) if (after.get(key)?.node !== row.node) row.node.remove();
  kept.set(parent, after);
}

// What is in a node is put anew only where it is another (`print` says what it shows), so that nobody's press, focus or selection is lost.
export function once(node, print, make) {
  if (node.dataset.shown === print) return;
  node.dataset.shown = print;
  empty(node, make());
}

// Puts a node in the place of another, with the focus where it was.
export function replace(old, node) {
  const focused = old.contains(document.activeElement) ? [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement) : -1;
  old.replaceWith(node);
  if (focused >= 0) node.querySelectorAll(FOCUSABLE)[focused]?.focus();
  return node;
}
