// Looks at links as they are entered; says how many will be downloaded.
import {parsed, renew} from "./refresh.js";

const AFTER = 400;  // ms without a key
const PATIENCE = 2;  // seconds that the server waits for what workers find
const BETWEEN = 1500;  // ms between two requests, at least

const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
let turn = 0;
let timer = 0;

async function look() {
  const mine = turn += 1;
  for (let wait = 0; mine === turn; wait = PATIENCE) {
    const form = byId("adding");
    if (!form.elements.urls.value.trim()) {
      byId("looked").replaceChildren();
      break;
    }
    const body = new URLSearchParams(new FormData(form));
    body.set("look", wait);
    const [fresh] = await Promise.all([asked(form.action, body), pause(wait && BETWEEN)]);
    if (mine !== turn) return;
    if (!fresh) break;
    renew(byId("looked"), fresh);
    counted();
    if (!fresh.querySelector("[data-looking]")) break;
  }
  counted();
}

async function asked(address, body) {
  try {
    const answer = await fetch(address, {method: "POST", body, headers: {Accept: "text/html"}});
    return answer.ok && !answer.redirected ? parsed(await answer.text()).getElementById("looked") : null;
  } catch {
    return null;
  }
}

function counted() {
  const form = byId("adding");
  const button = byId("download");
  const rows = form.querySelectorAll("#looked .pick input");
  const lines = new Set(form.elements.urls.value.split(/\s+/).filter(Boolean)).size;
  const number = rows.length ? [...rows].filter((box) => box.checked).length : lines;
  const words = number ? number === 1 ? button.dataset.one : button.dataset.many.replace("%s", number) : button.dataset.none;
  button.lastChild.textContent = words;
}

document.addEventListener("input", ({target}) => {
  if (target.id !== "urls") return;
  counted();
  clearTimeout(timer);
  timer = setTimeout(look, AFTER);
});
document.addEventListener("change", ({target}) => {
  if (target.closest("#looked")) counted();
  if (target.closest(".kinds")) byId("kind").textContent = [...byId("adding").querySelectorAll(".kinds select")].map((one) => one.selectedOptions[0].text).join(", ");
});
document.addEventListener("submit", ({target}) => { if (target.id === "adding") turn += 1; }, true);

const form = byId("adding");
counted();
if (form.dataset.look !== undefined && form.elements.urls.value.trim()) look();
