// Keeps the running operation's thin bar, and whatever a page marks with data-live, up to date by polling.

const bar = document.querySelector("[data-thin-progress]");
const pollUrl = document.body.dataset.pollUrl;
const QUICK_MS = 2000;
const CALM_MS = 8000;
const number = new Intl.NumberFormat("en");
const beganActive = Boolean(bar) && !bar.hidden; // something was under way when the server wrote this page
let shownStates = null;
let isStale = false; // something ended and the page does not show it yet
let cursor = "";
let timer = 0;

document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone they are wider than it

export function describe(operation) {
  if (operation.state === "pending") return "waiting for a worker";
  const total = operation.total ? ` / ${number.format(operation.total)}` : "";
  return `${(operation.phase || operation.state).replaceAll("_", " ")} · ${number.format(operation.done)}${total} ${operation.unit}`;
}

function showBar(active) {
  const operation = active.find((one) => one.state === "running") ?? active[0];
  bar.hidden = !operation;
  if (!operation) return;
  bar.href = `/operations/${operation.id}/`;
  bar.querySelector(".words").textContent = `${operation.subject || operation.kind} · ${describe(operation)}`;
  const progress = bar.querySelector("progress");
  if (operation.total) progress.value = Math.min(1, operation.done / operation.total);
  else progress.removeAttribute("value");
}

// Fetches this very page again and swaps the parts marked data-live="name": the server alone knows how they look.
// The notice of unfinished work is on every page; it changes with the operations' states, not with their progress.
// Returns whether all of it is fresh now; what is not waits for the next round.
export async function refreshLiveParts({ withNotice = true } = {}) {
  const parts = [...document.querySelectorAll(withNotice ? "[data-live]" : '[data-live]:not([data-live="waiting"])')];
  if (!parts.length) return true;
  const response = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!response.ok || response.redirected) return false;
  let isFresh = true;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of parts) {
    const replacement = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    // Never under somebody's hands: a field with the focus, a pressed button, an open <details> wait for the next round.
    if (!replacement) continue;
    if (part.querySelector("details[open]") || part.matches(":active") || isTypedIn(part)) isFresh = false;
    else swap(part, replacement);
  }
  return isFresh;
}

function isTypedIn(part) {
  const focused = document.activeElement;
  return part.contains(focused) && focused.matches("input, select, textarea");
}

// Puts the focus back on the link or button that reads as the one that had it.
function swap(part, replacement) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  part.replaceChildren(...replacement.childNodes);
  if (!focused) return;
  const words = focused.textContent.trim();
  const again = [...part.querySelectorAll(focused.tagName)].find((element) => element.textContent.trim() === words);
  again?.focus({ preventScroll: true });
}

async function poll() {
  let active = [];
  try {
    const address = cursor ? `${pollUrl}?after=${encodeURIComponent(cursor)}` : pollUrl;
    const response = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (response.status === 401 || response.status === 403) return; // signed out elsewhere: the next click says so
    if (response.status === 400) cursor = ""; // an older version of the server gave it
    if (response.ok) {
      const { operations, libraries, cursor: next } = await response.json();
      const librariesChanged = cursor !== "" && libraries.length > 0; // somebody else may be scanning what one sees
      cursor = next;
      active = operations.filter((one) => one.state === "running" || one.state === "pending");
      showBar(active);
      const states = operations.map((one) => `${one.id} ${one.state}`).sort().join();
      // What was quick may have ended before the first look.
      const changed = shownStates === null ? beganActive && !active.length : states !== shownStates;
      shownStates = states;
      if (active.length || changed || librariesChanged || isStale) {
        isStale = (changed || isStale) && active.length === 0; // until the page has been written anew
        if (await refreshLiveParts({ withNotice: changed || isStale })) isStale = false;
      }
    }
  } catch {
    // The server is away for a moment (a restart, a lost network); the next round tells.
  }
  schedule(active.length ? QUICK_MS : CALM_MS);
}

function schedule(delay) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(poll, delay);
}

// Where an events process runs, it tells when something has changed; without it, or when it goes away, polling continues.
function listen() {
  const address = document.body.dataset.eventsUrl;
  if (!address || !("EventSource" in window)) return;
  let events = null;
  const open = () => {
    events ??= Object.assign(new EventSource(address), { onmessage: () => void poll() });
  };
  const close = () => {
    events?.close();
    events = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}

if (bar && pollUrl) {
  listen();
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : poll()));
  schedule(bar.hidden ? QUICK_MS : 500);
}
