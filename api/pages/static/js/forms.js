// Forms are sent without leaving the page: the answer's parts replace those that differ, and nothing else moves.
import {adopt, parsed} from "./refresh.js";

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (event.defaultPrevented || form.method !== "post" || form.dataset.plain !== undefined) return;
  event.preventDefault();
  send(form, button);
});

// A choice that holds at once.
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.dataset.auto !== undefined) form.requestSubmit();
});

// What was left empty stays out of the address of a list.
document.addEventListener("formdata", ({target, formData}) => {
  if (target.method !== "get") return;
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});

export async function send(form, button, proof) {
  if (form.ariaBusy === "true") return;  // twice pressed is once meant
  form.ariaBusy = "true";
  button?.setAttribute("aria-busy", "true");
  const body = new FormData(form, button);
  for (const [name, value] of proof ?? []) body.set(name, value);
  const address = button?.getAttribute("formaction") ?? form.getAttribute("action") ?? location.href;
  const encoded = form.enctype === "multipart/form-data" ? body : new URLSearchParams(body);
  try {
    const answer = await fetch(address, {method: "POST", body: encoded, headers: {Accept: "text/html"}});
    await take(answer, form, button);
  } catch {
    toast(document.body.dataset.offline);
  } finally {
    form.ariaBusy = null;
    button?.removeAttribute("aria-busy");
  }
}

async function take(answer, form, button) {
  const fresh = parsed(await answer.text());
  const path = new URL(answer.url).pathname;
  const question = fresh.getElementById("confirm");
  document.getElementById("confirmPassword")?.closest("dialog")?.remove();
  if (question) {
    askForProof(question, form, button);
  } else if (answer.redirected && path.endsWith("/sign-in") && !location.pathname.endsWith("/sign-in")) {
    askToSignIn(fresh, answer.url, () => send(form, button));
  } else if (answer.ok && path !== location.pathname) {
    leave(fresh, answer.url);
  } else if (fresh.getElementById("main")?.dataset.page === document.getElementById("main")?.dataset.page) {
    if (answer.ok) {
      if (fresh.documentElement.lang !== document.documentElement.lang) {
        leave(fresh, answer.url);  // all of it speaks another language now
        return;
      }
      if (answer.url !== location.href) history.replaceState(null, "", answer.url);
      form.closest("dialog[open]")?.close?.();
      form.closest("[popover]")?.hidePopover?.();
      if (form.dataset.auto === undefined) form.reset();
    }
    adopt(fresh, true);
    document.querySelector("[aria-invalid=true]")?.focus();
  } else {
    const said = [...fresh.querySelectorAll("main h1, main > p:not(.acts, .small)")].map((each) => each.textContent);
    toast(said.join(" ") || document.body.dataset.offline);
  }
}

// To another page, with what is told there: the server tells it once, and has done so in the answer that we have.
export function leave(fresh, url) {
  sessionStorage.setItem("told", fresh.querySelector(".toasts")?.innerHTML.trim() ?? "");
  location.assign(url);
}

const told = sessionStorage.getItem("told");
if (told) document.querySelector(".toasts")?.replaceChildren(...parsed(told).body.childNodes);
sessionStorage.removeItem("told");

export function toast(text) {
  const shown = document.createElement("div");
  shown.className = "toast";
  shown.append(Object.assign(document.createElement("p"), {textContent: text}));
  document.querySelector(".toasts")?.replaceChildren(shown);
}

// The form takes a proof that the person is there: it is sent again with it.
function askForProof(question, form, button) {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.append(...question.childNodes);
  const proof = dialog.querySelector("form");
  proof.dataset.plain = "";
  proof.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(proof);
    for (const name of ["confirmEntered", "back"]) given.delete(name);  // the form itself has them
    send(form, button, given);
  });
  proof.querySelector("[data-cancel]").addEventListener("click", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// The session has ended: signing in again happens over the page, and goes on with what was meant.
export async function signInAgain(then) {
  const answer = await fetch(document.body.dataset.signIn, {headers: {Accept: "text/html"}});
  const fresh = parsed(await answer.text());
  if (new URL(answer.url).pathname.endsWith("/sign-in")) askToSignIn(fresh, answer.url, then);
  else if (answer.ok) then();  // somebody has signed in elsewhere
}

function askToSignIn(fresh, base, then) {
  document.querySelector("dialog[data-sign-in]")?.remove();
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  dialog.dataset.signIn = "";
  dialog.append(...fresh.querySelector("main").childNodes);
  for (const name of ["action", "href"]) {  // they are relative to the page of signing in
    for (const each of dialog.querySelectorAll(`[${name}]`)) {
      each.setAttribute(name, new URL(each.getAttribute(name), base));
      each.target = "_blank";  // other ways to sign in leave this page as it is
    }
  }
  const form = dialog.querySelector("form:has(input[type=password])");
  for (const each of dialog.querySelectorAll("form")) each.dataset.plain = "";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: {Accept: "text/html"},
    });
    const page = parsed(await answer.text());
    const proof = page.querySelector("body[data-socket] input[name=csrfToken]");
    if (!answer.ok || !proof) {
      askToSignIn(page, base, then);
      return;
    }
    for (const field of document.querySelectorAll("input[name=csrfToken]")) field.value = proof.value;
    dialog.close();
    dialog.remove();
    then();
  });
  document.body.append(dialog);
  dialog.showModal();
}
