// On every page: forms without a reload, what is live, and what the platform lacks.
import {liveParts, refresh} from "./refresh.js";
import {listen} from "./live.js";
import "./forms.js";
import "./keys.js";
import "./suggest.js";
import "./times.js";

if (document.body.dataset.socket) {
  const lost = (is) => {
    document.body.classList.toggle("lost", is);
    document.getElementById("lost").hidden = !is;
  };
  listen({changed: refresh, lost});
}
liveParts();
