// Sends chosen and dropped files into a library over tus: in pieces, three at a time, paused and resumed at will.
import { ApiError, csrfToken, post } from "photolala/api";
import { refreshLiveParts } from "photolala/progress";
import { formatNumber, sizeText } from "photolala/dates";

const AT_ONCE = 3;
const PIECE_BYTES = 16 * 1024 * 1024;
const RETRY_MS = [0, 1000, 3000, 10000, 30000];
const LOOK_MS = [500, 2_500, 6_000];
const MOST_TROUBLES = 50;

const place = document.getElementById("upload");
const find = (name) => place.querySelector(`[data-${name}]`);

const state = { queue: [], active: new Set(), importId: "", target: "", done: 0, failed: 0, total: 0, sentBefore: 0, bytes: 0, isPaused: false, wasBusy: false, began: 0 };

/** The files of a drop, those in folders too, each with its path. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return;
    for (const one of batch) await collect(one, found);
  }
}

async function add(files) {
  const visible = files.filter(({ file }) => !file.name.startsWith("."));
  if (!visible.length) return;
  find("progress").hidden = false;
  find("result").hidden = true;
  if (!state.active.size && !state.queue.length) Object.assign(state, { done: 0, failed: 0, total: 0, sentBefore: 0, bytes: 0, isPaused: false, began: performance.now() });
  state.queue.push(...visible);
  state.total += visible.length;
  state.bytes += visible.reduce((sum, { file }) => sum + file.size, 0);
  try {
    await openBatch();
  } catch (error) {
    trouble("", error.message);
    state.queue.length = 0;
    show();
    return;
  }
  pump();
}

/** One import takes what is sent into one library in one layout. */
async function openBatch() {
  const wish = {};
  for (const { name, value, checked } of place.querySelectorAll("[name]")) wish[name] = checked ?? value;
  const target = Object.values(wish).join(" ");
  if (state.importId && state.target === target) return;
  const begun = await post("/imports/", wish);
  state.importId = begun.id;
  state.target = target;
}

function pump() {
  while (!state.isPaused && state.active.size < AT_ONCE && state.queue.length) start(state.queue.shift());
  show();
}

function start({ file, path }) {
  const upload = new window.tus.Upload(file, {
    endpoint: place.dataset.endpoint,
    chunkSize: PIECE_BYTES,
    retryDelays: RETRY_MS,
    removeFingerprintOnSuccess: true,
    headers: { "X-CSRFToken": csrfToken() },
    metadata: { filename: path, import: state.importId, mtime: String(Math.max(0, file.lastModified)) },
    fingerprint: async () => ["photolala", state.target, path, file.size, file.lastModified].join("-"),
    onShouldRetry: (error) => !["400", "404", "409", "410", "413", "422", "507"].includes(String(error.originalResponse?.getStatus() ?? "")),
    onProgress: (sent) => {
      one.sent = sent;
      show();
    },
    onSuccess: () => end(one, true),
    onError: (error) => {
      trouble(path, sentenceOf(error));
      end(one, false);
    },
  });
  const one = { upload, file, sent: 0 };
  state.active.add(one);
  upload.findPreviousUploads().then((previous) => {
    if (previous.length) upload.resumeFromPreviousUpload(previous[0]);
    if (state.active.has(one) && !state.isPaused) upload.start();
  });
}

function end(one, isGood) {
  state.active.delete(one);
  state.sentBefore += one.file.size;
  if (isGood) state.done += 1;
  else state.failed += 1;
  pump();
}

/** What the server said, or that it was not reached. */
export function sentenceOf(error) {
  const body = error.originalResponse?.getBody?.() ?? "";
  try {
    return JSON.parse(body).detail || error.message;
  } catch {
    return error.originalResponse ? `The server answered ${error.originalResponse.getStatus()}.` : "The server cannot be reached.";
  }
}

function trouble(path, sentence) {
  const list = find("troubles");
  if (list.children.length >= MOST_TROUBLES) return;
  const item = document.createElement("li");
  const name = document.createElement("strong");
  name.textContent = path;
  item.append(name, path ? ": " : "", sentence);
  list.append(item);
}

function show() {
  const isBusy = state.active.size > 0 || state.queue.length > 0;
  const sent = state.sentBefore + [...state.active].reduce((sum, one) => sum + one.sent, 0);
  place.querySelector("progress").value = state.bytes ? sent / state.bytes : isBusy ? 0 : 1;
  const seconds = (performance.now() - state.began) / 1000;
  const words = [`${formatNumber(state.done)} of ${formatNumber(state.total)} ${state.total === 1 ? "file" : "files"} sent`, `${sizeText(sent)} of ${sizeText(state.bytes)}`];
  if (isBusy && !state.isPaused && seconds > 1) words.push(`${sizeText(sent / seconds)}/s`);
  if (state.failed) words.push(`${formatNumber(state.failed)} not sent`);
  if (state.isPaused) words.push("paused");
  find("words").textContent = words.join(" · ");
  find("pause").hidden = find("cancel").hidden = !isBusy;
  find("pause").textContent = state.isPaused ? "Go on" : "Pause";
  find("result").hidden = isBusy || !state.done;
  if (state.wasBusy && !isBusy) showWhatBecameOfIt();
  state.wasBusy = isBusy;
  if (state.importId) find("result").href = `${place.dataset.page}${state.importId}/`;
}

/** All is sent: the list below follows what the server makes of it, also where that is over before anybody asks. */
function showWhatBecameOfIt() {
  for (const delay of LOOK_MS) setTimeout(() => void refreshLiveParts().catch(() => {}), delay);
}

function togglePause() {
  state.isPaused = !state.isPaused;
  for (const { upload } of state.active) {
    if (state.isPaused) upload.abort();
    else upload.start();
  }
  pump();
}

async function cancel() {
  state.queue.length = 0;
  const stopped = [...state.active];
  state.active.clear();
  state.isPaused = false;
  show();
  await Promise.allSettled(stopped.map(({ upload }) => upload.abort(true)));
}

if (place) {
  const drop = find("drop");
  for (const input of place.querySelectorAll("[data-files]")) {
    input.addEventListener("change", () => {
      add([...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
      input.value = "";
    });
  }
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("is-over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    try {
      await add(await droppedFiles(event.dataTransfer));
    } catch (error) {
      trouble("", error instanceof ApiError ? error.message : "The dropped files could not be read.");
    }
  });
  find("pause").addEventListener("click", togglePause);
  find("cancel").addEventListener("click", cancel);
  window.addEventListener("beforeunload", (event) => {
    if (state.active.size || state.queue.length) event.preventDefault();
  });
}
