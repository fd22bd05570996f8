// Keys, pasting, dialogs and lists with ticks.
const typing = (node) => node.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
const search = document.querySelector(".search input");

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && search && !typing(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// A link that is pasted anywhere outside a field is meant to be downloaded.
document.addEventListener("paste", (event) => {
  const path = document.body.dataset.downloads;
  if (!path || typing(event.target)) return;
  const text = event.clipboardData.getData("text/plain").trim();
  if (/^https?:\/\/\S+(\s+https?:\/\/\S+)*$/.test(text)) {
    location.assign(`${path}?${new URLSearchParams({urls: text})}`);
  }
});

// A dialog closes by a press beside it, and gives the focus back.
document.addEventListener("click", (event) => {
  if (event.target.localName === "dialog" && event.target.open) event.target.close();
});

// A password that is shown.
document.addEventListener("change", ({target}) => {
  const field = document.getElementById(target.dataset?.shows);
  if (field) field.type = target.checked ? "text" : "password";
});

// How many are ticked, and all of a list at once.
document.addEventListener("change", ({target}) => {
  const list = target.closest?.("form.bulkable, .bulkable");
  if (list) counted(list);
});

function counted(list) {
  const output = list.querySelector(".bulk output");
  const ticked = list.querySelectorAll(".pick input:checked").length;
  if (output) output.textContent = (output.dataset.words ?? "%s").replace("%s", ticked);
}

document.addEventListener("click", ({target}) => {
  const all = target.closest?.("[data-tick]");
  if (!all) return;
  const list = all.closest(".bulkable");
  for (const box of list.querySelectorAll(".pick input:not(:disabled)")) box.checked = all.dataset.tick === "all";
  counted(list);
});
