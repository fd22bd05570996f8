// Titles while somebody types into the search field: a combobox with a list below it.
import {renewed} from "./live.js";

const PAUSE = 80;  // ms without a key before the server is asked
const field = document.querySelector(".search[data-suggest] input");
const list = document.getElementById("suggestions");

let waiting = 0;
let asking = null;
let chosen = -1;

if (field) {
  const attributes = {role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id};
  for (const [name, value] of Object.entries(attributes)) field.setAttribute(name, value);
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    asking?.abort();
    if (field.value.trim()) waiting = setTimeout(ask, PAUSE);
    else close();
  });
  field.addEventListener("keydown", pressed);
  field.addEventListener("blur", close);
  field.addEventListener("focus", () => { if (list.children.length && field.value.trim()) open(); });
  list.addEventListener("mousedown", (event) => event.preventDefault());  // the caret stays in the field
}

async function ask() {
  const query = field.value.trim();
  asking = new AbortController();
  const {signal} = asking;
  const address = new URL(field.form.dataset.suggest, location.href);
  const root = new URL("../../../", address);
  address.searchParams.set("query", query);
  try {
    let answer = await fetch(address, {signal});
    if (answer.status === 401) {
      await renewed();
      answer = await fetch(address, {signal});
    }
    const found = answer.ok ? (await answer.json()).data.items : [];
    if (!signal.aborted) show(found, root);
  } catch {
    // Stopped, since more was typed; or the server is away, of which the page tells.
  }
}

function show(found, root) {
  list.replaceChildren(...found.map((one, number) => {
    const entry = document.createElement("a");
    Object.assign(entry, {id: `suggestion-${number}`, href: new URL(one.url.slice(1), root).href, tabIndex: -1, role: "option"});
    entry.ariaSelected = "false";
    const about = Object.assign(document.createElement("span"), {className: "small soft num"});
    about.textContent = [list.dataset[one.type], one.year].filter(Boolean).join(", ");
    entry.append(Object.assign(document.createElement("span"), {className: "clip", textContent: one.title}), about);
    return entry;
  }));
  choose(-1);
  if (found.length && document.activeElement === field) open();
  else close();
}

function pressed(event) {
  const entries = list.children;
  if (event.isComposing || !entries.length) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    const places = entries.length + 1;  // the field itself is one
    open();
    choose((chosen + 1 + step + places) % places - 1);
  } else if (event.key === "Enter" && !list.hidden && chosen >= 0) {
    event.preventDefault();
    entries[chosen].click();
  } else if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    close();
  }
}

function choose(number) {
  if (list.children[chosen]) list.children[chosen].ariaSelected = "false";
  chosen = number;
  const entry = list.children[number];
  if (entry) {
    entry.ariaSelected = "true";
    entry.scrollIntoView({block: "nearest"});
    field.setAttribute("aria-activedescendant", entry.id);
  } else field.removeAttribute("aria-activedescendant");
}

function open() {
  list.hidden = false;
  field.ariaExpanded = "true";
}

function close() {
  list.hidden = true;
  field.ariaExpanded = "false";
  choose(-1);
}
