// The pages that links in mails lead to: they send what was typed, and say what became of it.
const state = document.getElementById("state");
const form = document.querySelector("form");
const password = document.getElementById("password");
const server = new URL(".", location.href).href.replace(/\/$/, "");  // whatever path a proxy has us below
const query = new URLSearchParams(location.search);
const token = query.get("token");
const tokenId = query.get("tokenId");
history.replaceState(null, "", location.pathname);  // the secret stays neither on the screen nor in the history

const shape = state.querySelector("use");
const sprite = shape.getAttribute("href").split("#")[0];
const SHAPES = {bad: "s-bad", ok: "s-ok", "": "s-wait"};

function say(text, kind) {
  state.querySelector("p").textContent = text;
  state.className = `note ${kind}`;
  shape.setAttribute("href", `${sprite}#${SHAPES[kind]}`);
  state.hidden = !text;
}

async function post(path, body) {
  let answer;
  try {
    answer = await fetch("api/v1/auth/" + path, {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify(body),
    });
  } catch {
    return {ok: false, status: 0, message: "The server can't be reached. Try again in a moment."};
  }
  const said = await answer.json().catch(() => ({}));
  return {ok: answer.ok, status: answer.status, message: said.error ? said.error.message : ""};
}

function wrong(answer) {
  return answer.message || "Something went wrong. Try again in a moment.";
}

async function verified() {
  const answer = await post("password-reset/verify", {token, tokenId});
  if (!answer.ok) say(wrong(answer), "bad");
  return answer.ok;
}

const ways = {
  reset: {
    ready: verified,
    send: () => post("password-reset/confirm", {token, newPassword: password.value}),
    done: "Your password was changed, and you were signed out everywhere.",
  },
  accept: {
    ready: async () => true,
    send: () => post("invitations/accept", {token, name: form.elements.name.value, password: password.value}),
    done: "Your account is ready.",
  },
};
const way = ways[form.id];

async function begin() {
  if (!token || (form.id === "reset" && !tokenId)) {
    say("This page is opened by the link in your mail: open it from there.", "bad");
  } else if (await way.ready()) {
    say("", "");
    form.hidden = false;
  }
}

document.getElementById("show").addEventListener("change", (event) => {
  password.type = event.target.checked ? "text" : "password";
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  say("One moment…", "");
  const answer = await way.send();
  button.disabled = false;
  button.removeAttribute("aria-busy");
  say(answer.ok ? way.done : wrong(answer), answer.ok ? "ok" : "bad");
  if (answer.ok || answer.status === 404) form.hidden = true;
  if (answer.ok) {
    document.getElementById("server").textContent = server;
    document.getElementById("next").hidden = false;
  }
});

begin();
