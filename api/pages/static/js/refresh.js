// Takes what changed on the server into this page: parts of a new copy of it replace those that differ.
import {localTimes} from "./times.js";

const PARTS = "[data-live]";  // each with an id; its children with ids of their own are replaced one by one
const PAUSE = 250;  // ms in which changes are collected
const REST = 1500;  // ms between two copies, where changes follow each other

let waiting = 0;
let running = false;
let again = false;
let taken = -REST;

export function refresh() {
  const rest = Math.max(PAUSE, taken + REST - performance.now());
  if (!waiting) waiting = setTimeout(collect, document.hidden ? REST * 4 : rest);
}

async function collect() {
  waiting = 0;
  if (running) {
    again = true;
    return;
  }
  running = true;
  const before = answers;
  try {
    const answer = await fetch(location.href, {headers: {Accept: "text/html"}});
    const text = await answer.text();
    if (answers !== before) again = true;  // older than what is shown: a form was answered meanwhile
    else if (answer.ok && !answer.redirected) adopt(keeping(parsed(text)));
  } catch {
    // The socket tells when the server is back.
  } finally {
    running = false;
    taken = performance.now();
    if (again) {
      again = false;
      refresh();
    }
  }
}

// What somebody is filling in is theirs until they send it.
function keeping(fresh) {
  for (const mine of document.querySelectorAll("[data-kept]")) {
    fresh.getElementById(mine.id)?.replaceWith(fresh.importNode(mine, true));
  }
  return fresh;
}

export const parsed = (html) => new DOMParser().parseFromString(html, "text/html");

// An answer to a form replaces the form too, with the caret in it; what comes by itself leaves it alone.
let answered = false;
let answers = 0;

export function adopt(fresh, isAnswer = false) {
  answered = isAnswer;
  if (isAnswer) answers += 1;
  for (const part of document.querySelectorAll(PARTS)) {
    const other = fresh.getElementById(part.id);
    if (!isAnswer && part.matches(".toasts") && !other?.children.length) continue;  // what was told is still to be read
    if (other && part.isConnected) renew(part, other);  // it may have gone with a part around it
  }
  answered = false;
  liveParts();
  document.dispatchEvent(new Event("renewed"));
}

export function liveParts() {
  localTimes(document);
  for (const hidden of document.querySelectorAll("[data-scripted]")) hidden.hidden = false;
}

// What a person is using now stays as it is: an open dialog, a field with the caret, what they have ticked.
const inUse = (node) => node.matches("dialog[open], :popover-open") || (!answered && node.contains(document.activeElement)
  && document.activeElement.matches("input:not([type=checkbox], [type=radio]), textarea, select"));

// Returns what stands there afterwards.
export function renew(old, fresh) {
  if (old.isEqualNode(fresh) || inUse(old)) return old;
  const keyed = [...fresh.children].length > 0 && [...fresh.children].every((child) => child.id);
  if (!keyed) {
    const focused = old.contains(document.activeElement) ? pathOf(document.activeElement) : null;
    const ticked = [...old.querySelectorAll("input[type=checkbox]:checked")].map(pathOf);
    const opened = [...old.querySelectorAll("details[open]")].map(pathOf);
    const copy = document.importNode(fresh, true);
    if (copy.dataset) copy.dataset.fresh = "";
    old.replaceWith(copy);
    for (const each of ticked) find(copy, each, (box) => { box.checked = true; });
    for (const each of opened) find(copy, each, (box) => { box.open = true; });
    if (focused) find(copy, focused, (box) => box.focus({preventScroll: true}));
    return copy;
  }
  for (const name of [...old.attributes].map((each) => each.name)) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes) old.setAttribute(name, value);
  const known = new Map([...old.children].map((child) => [child.id, child]));
  const placed = [];
  for (const child of [...fresh.children]) {
    const mine = known.get(child.id);
    known.delete(child.id);
    const node = mine ?? document.importNode(child, true);
    const next = placed.length ? placed.at(-1).nextElementSibling : old.firstElementChild;
    if (node !== next) old.insertBefore(node, next);
    placed.push(mine ? renew(mine, child) : node);
  }
  for (const child of [...old.children]) if (!placed.includes(child)) child.remove();
  return old;
}

// An element by what it is, since its copy is another object.
const pathOf = (node) => node.id ? `#${CSS.escape(node.id)}`
  : `${node.localName}${node.name ? `[name="${CSS.escape(node.name)}"]` : ""}${
    node.hasAttribute("value") ? `[value="${CSS.escape(node.getAttribute("value"))}"]` : ""}`;

function find(root, selector, use) {
  const found = root.matches(selector) ? root : root.querySelector(selector);
  if (found) use(found);
}
