// Buttons with data-copy="<id>" copy the value of that field.
import {toast} from "./forms.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    field.select();  // not over https: the person presses the keys themselves
    return;
  }
  button.closest("dialog[open]")?.close();  // it would lie over the message
  toast(button.dataset.said);
});
