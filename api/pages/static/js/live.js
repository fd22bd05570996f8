// The one socket of this tab. Progress goes into bars at once; any other change takes a new copy of the page's parts.
import {bytes, percent, span} from "./times.js";

const FIRST = 500;  // ms until the first try to reconnect, doubled up to
const LONGEST = 20000;

let socket = null;
let told = null;
let pause = FIRST;
let timer = 0;

// What the device knows of its network comes sooner than the end of a connection that stays silent.
addEventListener("offline", () => told?.lost(true));
addEventListener("online", () => {
  if (!told) return;
  const old = socket;
  listen(told);
  old.close();
});

export function listen(hearer) {
  told = hearer;
  clearTimeout(timer);
  const address = new URL(document.body.dataset.socket, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  let opened = false;
  const mine = socket = new WebSocket(address);
  mine.addEventListener("open", () => {
    opened = true;
    if (pause > FIRST || document.body.classList.contains("lost")) told.changed();  // whatever was missed
    pause = FIRST;
    told.lost(false);
  });
  mine.addEventListener("message", ({data}) => heard(JSON.parse(data)));
  mine.addEventListener("close", async () => {
    if (mine !== socket) return;  // another one has taken its place
    told.lost(true);
    if (!opened && await renewed() === 401) {
      told.ended(() => listen(told));
      return;
    }
    timer = setTimeout(() => listen(told), pause * (0.75 + Math.random() / 2));
    pause = Math.min(pause * 2, LONGEST);
  });
}

// A handshake is refused where the access token has run out: the session may be good for another, or be over (401).
export async function renewed() {
  const token = document.querySelector("input[name=csrfToken]")?.value;
  if (!token) return null;
  const answer = await fetch(document.body.dataset.renew, {
    method: "POST", headers: {"Content-Type": "application/json", "X-CSRF-Token": token}, body: "{}",
  }).catch(() => null);
  return answer?.status;
}

// Something may have changed after the page was made and before the socket was open.
function isOlder({downloads = [], requests = [], notifications}) {
  const now = new Map([...downloads, ...requests].map(({id, status}) => [id, status]));
  const rows = [...document.querySelectorAll("[data-download], [data-request]")];
  return notifications && notifications.unread !== Number(document.getElementById("end")?.dataset.unread)
    || rows.some(({dataset: {download, request, status}}) => (now.get(download ?? request) ?? status) !== status);
}

function heard({event, data}) {
  if (event === "snapshot") {
    if (isOlder(data)) told.changed();
    return;
  }
  if (event !== "download:progress") {
    told.changed();
    return;
  }
  const rows = document.querySelectorAll(`[data-download="${CSS.escape(data.id)}"]`);
  let other = !rows.length && document.querySelector("[data-downloads]");
  for (const row of rows) {
    if (row.dataset.status !== data.status) other = true;
    else moved(row, data);
  }
  if (other) told.changed();
}

function moved(row, data) {
  const parts = {
    percent: percent(data.progress),
    speed: data.speedBytesPerSecond ? `${bytes(data.speedBytesPerSecond)}/s` : "",
    left: data.etaSeconds === null ? "" : span(data.etaSeconds),
    done: data.downloadedBytes === null ? "" : bytes(data.downloadedBytes),
  };
  for (const bar of row.querySelectorAll("progress")) {
    if (data.status === "downloading") bar.value = data.progress;
  }
  for (const [name, text] of Object.entries(parts)) {
    for (const each of row.querySelectorAll(`[data-part=${name}]`)) {
      const words = each.dataset.words;
      each.textContent = words && text ? words.replace("%s", text) : text;
    }
  }
}
