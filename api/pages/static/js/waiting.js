// Asks now and then whether somebody has typed a code at plex.tv, as plex.tv wants it to be done; shows the time left.
import {leave} from "./forms.js";
import {parsed} from "./refresh.js";

const EVERY = 2000;  // ms

async function asked(form) {
  const answer = await fetch(form.action, {
    method: "POST", body: new URLSearchParams(new FormData(form)), headers: {Accept: "text/html"},
  });
  if (answer.redirected) leave(parsed(await answer.text()), answer.url);
  else if (answer.status === 403 || answer.status === 404) location.reload();
  return answer.redirected;
}

const left = (time) => Math.max(0, Math.floor((new Date(time.dateTime) - Date.now()) / 1000));

function shown(time) {
  const seconds = left(time);
  time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

let done = false;
setInterval(() => document.querySelectorAll("time[data-left]").forEach(shown), 1000);
setInterval(async () => {
  const form = document.querySelector("form[data-waits]");
  if (done || document.hidden || !form) return;
  done = true;
  done = await asked(form).catch(() => false);
}, EVERY);
