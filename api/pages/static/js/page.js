// On every page: forms without a reload, what is live, and what the platform lacks.
import {liveParts, refresh} from "./refresh.js";
import {listen} from "./live.js";
import {signInAgain} from "./forms.js";
import "./keys.js";
import "./suggest.js";
import "./times.js";

if (document.body.dataset.socket) {
  const lost = (is) => {
    document.body.classList.toggle("lost", is);
    document.getElementById("lost").hidden = !is;
  };
  listen({changed: refresh, lost, ended: signInAgain});
}
if (document.querySelector("form[data-secret]")) history.replaceState(null, "", location.pathname);  // not on the screen, nor in the history
liveParts();
for (const tab of document.querySelectorAll(".tabs [aria-current]")) {  // in sight, where not all fit
  const [at, all] = [tab.getBoundingClientRect(), tab.parentElement.getBoundingClientRect()];
  tab.parentElement.scrollLeft += (at.left + at.right - all.left - all.right) / 2;
}

const worker = document.querySelector("link[rel=manifest]").href.replace("manifest.webmanifest", "service-worker.js");
navigator.serviceWorker?.register(worker).catch(() => {});  // only where the browser holds the site for secure
