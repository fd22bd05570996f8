// Keeps static files, whose names change with their content, and a page for when the server can't be reached. Nothing of
// a person is ever kept: pages and data go past it.
const FILES = [/* files */];
const OFFLINE = "offline";
const NAME = `static-${FILES.join()}`;

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll([...FILES, OFFLINE])));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys().then((names) => Promise.all(
    names.filter((name) => name !== NAME).map((name) => caches.delete(name)))).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const {request} = event;
  if (request.method !== "GET") return;
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(offline));
  } else if (new URL(request.url).pathname.startsWith(new URL("static/", self.registration.scope).pathname)) {
    event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
  }
});

// Its addresses are relative to the root of the site, and the page that was asked for may lie deeper.
async function offline() {
  const kept = await caches.match(OFFLINE);
  const root = new URL(self.registration.scope).pathname;
  const html = (await kept.text()).replaceAll(/(href|src)="(?=\w)/g, `$1="${root}`);
  return new Response(html, {headers: kept.headers});
}
