// What pages do beyond being read: they show times in the reader's zone, keep themselves up to date,
// copy, and change between light and dark. Without it nothing is missing that is told.

const root = document.documentElement;
const kept = {
  get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* not kept */ } },
};

// Times: as they are sent in UTC, in the reader's zone, or how long ago.

const SHOWN = ["local", "ago", "UTC"];
let zone = SHOWN.includes(kept.get("times")) ? kept.get("times") : "local";
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

function ago(ms) {
  const units = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1_000]];
  const [unit, length] = units.find(([, it]) => Math.abs(ms) >= it) ?? units[3];
  return relative.format(-Math.round(ms / length), unit);
}

function times(within) {
  for (const time of within.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const utc = time.dateTime.replace("T", " ").replace("Z", " UTC");
    const since = Date.now() - at.getTime();
    time.textContent = { local: local.format(at), ago: ago(since), UTC: utc }[zone];
    time.title = `${utc}, ${local.format(at)}, ${ago(since)}`;
  }
}

// Copying: whatever has `data-copy` gets a button.

function copies(within) {
  if (!navigator.clipboard) return;
  for (const text of within.querySelectorAll("[data-copy]:not([data-ready])")) {
    text.dataset.ready = "";
    const value = text.textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy quiet";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${value.slice(0, 60)}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(value).then(() => {
        button.textContent = "Copied";
      }, () => {
        button.textContent = "Not copied";
      });
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    // A definition is of one element.
    if (text.matches("dd")) text.append(button);
    else text.after(button);
  }
}

// Whether pages keep themselves up to date: as their reader likes, and not in the background.

let live = kept.get("live") !== "off";
const waiting = new Set();

function ready() {
  if (live && !document.hidden) return Promise.resolve();
  return new Promise((done) => { waiting.add(done); }).then(ready);
}

function wake() {
  const all = [...waiting];
  waiting.clear();
  all.forEach((it) => it());
}
document.addEventListener("visibilitychange", wake);

// Light and dark, how times are shown, whether the page is kept up to date.

function tools() {
  const bar = document.querySelector(".top");
  if (!bar) return;
  const place = document.createElement("div");
  place.className = "tools";
  const button = (label, act) => {
    const it = document.createElement("button");
    it.type = "button";
    it.className = "quiet";
    const show = () => { it.textContent = label(); };
    it.addEventListener("click", () => { act(); show(); });
    show();
    place.append(it);
  };
  button(() => `Times: ${zone}`, () => {
    zone = SHOWN[(SHOWN.indexOf(zone) + 1) % SHOWN.length];
    kept.set("times", zone);
    times(document);
  });
  if (document.querySelector("[data-watch], [data-poll]")) {
    button(() => `Live: ${live ? "on" : "off"}`, () => {
      live = !live;
      kept.set("live", live ? "on" : "off");
      wake();
    });
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  button(() => (isDark() ? "Light" : "Dark"), () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    kept.set("theme", root.dataset.theme);
  });
  bar.append(place);
}

// Staying up to date: parts with `data-live` are taken anew from the page's own address.

const parser = new DOMParser();

// What somebody is about to use is left as it is.
const inUse = (part) => part.contains(document.activeElement)
  && document.activeElement.matches("input, textarea, button:not(.copy), select")
  || part.querySelector("details.order[open]") !== null;

// What somebody has at hand by its name, and which of those with that name it is.
const HELD = "a[href], summary, button.copy, [tabindex]";
const nameOf = (it) => it.getAttribute("href") ?? it.getAttribute("aria-label") ?? it.textContent;
const alike = (within, it) => [...within.querySelectorAll(HELD)]
  .filter((other) => nameOf(other) === nameOf(it));

// A fold, by what it says and in which line.
const fold = (it) => [it.closest("tr")?.cells[0]?.textContent,
  it.querySelector("summary")?.textContent].join("\n");

function replace(part, fresh) {
  const folds = new Map([...part.querySelectorAll("details")].map((it) => [fold(it), it.open]));
  const places = [...part.querySelectorAll(".scroll, .picture, .value")]
    .map((it) => [it.scrollLeft, it.scrollTop]);
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const place = active ? alike(part, active).indexOf(active) : -1;
  fresh.querySelectorAll("details").forEach((it) => { it.open = folds.get(fold(it)) ?? it.open; });
  part.replaceWith(fresh);
  fresh.querySelectorAll(".scroll, .picture, .value").forEach((it, at) => {
    if (places[at]) [it.scrollLeft, it.scrollTop] = places[at];
  });
  times(fresh);
  copies(fresh);
  if (place >= 0) {
    const same = alike(fresh, active);
    (same[place] ?? same[0])?.focus({ preventScroll: true });
  }
}

// As it came, before times and buttons changed it.
const sent = new Map();
// The token of forms is another one each time, and the one that is there still counts.
const plain = (part) => part.outerHTML.replace(/value="[0-9a-f]{32}\.[0-9a-f]+"/g, "");
const remember = (page) => page.querySelectorAll("[data-live]")
  .forEach((it) => sent.set(it.id, plain(it)));

// Where this page is told of what comes next; nowhere once the instance has ended.
const watchOf = (page) => page.querySelector("[data-watch]")?.dataset.watch;
let watched = watchOf(document);

async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (answer.redirected) {
    location.assign(answer.url);
    return;
  }
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const page = parser.parseFromString(await answer.text(), "text/html");
  // Not as it is shown: what is in use is left as it was.
  watched = watchOf(page);
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const part = document.getElementById(fresh.id);
    const html = plain(fresh);
    if (!part || inUse(part) || sent.get(fresh.id) === html) continue;
    sent.set(fresh.id, html);
    replace(part, fresh);
  }
  stale(false);
}

function stale(is) {
  document.querySelector(".stale")?.remove();
  if (!is) return;
  const note = document.createElement("p");
  note.className = "stale";
  note.setAttribute("role", "status");
  note.textContent = "No connection; trying again…";
  document.body.append(note);
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// Lists have no stream of their own.
async function poll() {
  for (;;) {
    await pause(10_000);
    await ready();
    await refresh().catch(() => stale(true));
  }
}

// An instance tells of itself by the stream that the API has; whatever comes, the page is taken
// anew, at most once a second.
async function watch() {
  for (let failures = 0; ;) {
    if (!watched) return;
    await ready();
    const control = new AbortController();
    const hide = () => { if (document.hidden) control.abort(); };
    document.addEventListener("visibilitychange", hide);
    let wait = 1_000;
    try {
      const answer = await fetch(watched, { signal: control.signal });
      if (answer.redirected || answer.status === 401) return void location.reload();
      if (!answer.ok || !answer.body) {
        // Too many watch: this page does as lists do.
        wait = 10_000;
        throw new Error(`status ${answer.status}`);
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        // Lines that begin with a colon only keep the connection.
        if (value.split("\n").every((it) => it === "" || it.startsWith(":"))) continue;
        control.abort();
        break;
      }
    } catch { /* the page is taken anew below, which tells whether there is a connection */ }
    document.removeEventListener("visibilitychange", hide);
    await ready();
    await pause(Math.min(wait * 2 ** failures, 30_000));
    await refresh().then(() => { failures = 0; }, () => {
      failures = Math.min(failures + 1, 5);
      stale(true);
    });
  }
}

// Keys, as people expect them: a slash goes to the filter, `g` and a letter to a page, `?` lists all.

const GO = { i: "instances", p: "approvals", d: "definitions", s: "schedules", w: "workers",
  e: "events", b: "bulk", a: "audit", x: "secrets" };
const pageOf = (letter) => GO[letter] && document.querySelector(`.top nav a[href="/ui/${GO[letter]}"]`);

function keys() {
  const known = document.getElementById("keys");
  if (known) return known;
  const list = document.createElement("dialog");
  list.id = "keys";
  list.setAttribute("aria-label", "Keys");
  const all = document.createElement("dl");
  const line = (key, does) => {
    const term = document.createElement("dt");
    const name = document.createElement("kbd");
    name.textContent = key;
    term.append(name);
    const said = document.createElement("dd");
    said.textContent = does;
    all.append(term, said);
  };
  line("/", "Go to the filter");
  for (const letter of Object.keys(GO)) {
    const page = pageOf(letter);
    if (page) line(`g ${letter}`, page.textContent);
  }
  line("?", "These keys");
  line("Esc", "Close this");
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => list.close());
  list.append(all, close);
  document.body.append(list);
  return list;
}

let goes = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
  const going = Date.now() - goes < 1_500;
  goes = 0;
  if (event.key === "/") {
    const filter = document.getElementById("filter");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
  } else if (event.key === "?") {
    event.preventDefault();
    keys().showModal();
  } else if (going && Object.hasOwn(GO, event.key)) {
    pageOf(event.key)?.click();
  } else if (event.key === "g") {
    goes = Date.now();
  }
});

if (["light", "dark"].includes(kept.get("theme"))) root.dataset.theme = kept.get("theme");
remember(document);
tools();
times(document);
copies(document);
if (watched) watch();
else if (document.querySelector("[data-poll]")) poll();
