/** The site's own JSON API as the timeline uses it: paths, CSRF, errors as sentences for people. */

const BASE = "/api/v1";

/** An answer that is not a success. `message` is a sentence for people; `status` is 0 when the server was not reached. */
export class ApiError extends Error {
  constructor(message, status, retryAfterSeconds = 0) {
    super(message);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The token that Django wants with every change: from the page's meta element, else from the cookie. */
export function csrfToken() {
  const meta = document.querySelector('meta[name="csrf-token"]');
  if (meta?.content) return meta.content;
  const body = document.body.getAttribute("hx-headers");
  if (body) {
    const token = JSON.parse(body)["X-CSRFToken"];
    if (token) return token;
  }
  const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
  return cookie ? decodeURIComponent(cookie.slice("csrftoken=".length)) : "";
}

/** Return what a failed response says, as an ApiError. */
export async function errorOf(response) {
  let detail = "";
  try {
    const problem = await response.json();
    const fields = Object.values(problem.errors ?? {}).flat().filter((one) => typeof one === "string");
    detail = fields.join(" ") || problem.detail || problem.title || "";
  } catch (error) {
    detail = error instanceof SyntaxError ? "" : String(error.message);
  }
  if (response.status === 401 || (response.status === 403 && !detail)) detail = "You are signed out. Sign in again.";
  const message = detail || `The server answered ${response.status}.`;
  return new ApiError(message, response.status, Number(response.headers.get("Retry-After")) || 0);
}

async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached.", 0);
  }
  if (!response.ok) throw await errorOf(response);
  return response.status === 204 ? null : response.json();
}

/** GET `path` under the API's root; `params` may hold arrays for repeated parameters. */
export function get(path, params = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of [value].flat()) query.append(name, one);
  }
  const text = query.toString();
  return send(`${BASE}${path}${text ? `?${text}` : ""}`, { signal, headers: { Accept: "application/json" } });
}

function change(method, path, body, options = {}) {
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrfToken() };
  return send(`${BASE}${path}`, { method, headers, body: JSON.stringify(body), ...options });
}

/** POST `body` as JSON. */
export const post = (path, body) => change("POST", path, body);

/** PATCH with `body` as JSON. */
export const patch = (path, body) => change("PATCH", path, body);

/** `[{bucket, count}]`, newest first. */
export function fetchBuckets(filters, signal) {
  return get("/timeline/buckets/", filters, signal);
}

/** A Map from bucket to its photos as arrays of equal length (`id`, `ratio`, `placeholder`, `favorite`, …). */
export async function fetchPhotos(filters, keys, signal) {
  return splitByBucket(await get("/timeline/bucket/", { ...filters, bucket: keys }, signal), keys);
}

/** Share the photos of several buckets, which come as one list in the timeline's order, out among them. */
export function splitByBucket(arrays, keys) {
  const found = new Map(keys.map((key) => [key, { from: 0, to: 0 }]));
  for (let i = 0; i < arrays.id.length; i++) {
    const day = arrays.taken_local[i];
    const range = day ? (found.get(day.slice(0, 7)) ?? found.get(day.slice(0, 10))) : found.get("undated");
    if (!range) continue;
    if (range.to === 0) range.from = i;
    range.to = i + 1;
  }
  const names = Object.keys(arrays);
  const cut = ({ from, to }) => Object.fromEntries(names.map((name) => [name, arrays[name].slice(from, to)]));
  return new Map([...found].map(([key, range]) => [key, cut(range)]));
}

/** Where a photo's files are served; `version` makes the address of a picture change with its content. */
export const urls = {
  thumbnail: (id, version) => `${BASE}/photos/${id}/thumbnail/${version ? `?v=${version}` : ""}`,
  preview: (id, version) => `${BASE}/photos/${id}/preview/${version ? `?v=${version}` : ""}`,
  original: (id) => `${BASE}/photos/${id}/original/`,
  motion: (id) => `${BASE}/photos/${id}/motion/`,
  rendition: (id, version) => `${BASE}/photos/${id}/rendition/${version ? `?v=${version}` : ""}`,
};

/** All facts about one photo. */
export const fetchPhoto = (id, signal) => get(`/photos/${id}/`, {}, signal);

/** Set the stars that the signed-in person gives; answers `{photo_id, rating, favorited}`. */
export const setRating = (id, rating) => post(`/photos/${id}/favorite/`, { rating });

/** Change the photo's caption; answers all its facts. `isLast`: also if the page is gone by then. */
export const setCaption = (id, caption, isLast = false) => change("PATCH", `/photos/${id}/`, { caption }, { keepalive: isLast });

/** Change when the photo was taken, as "2024-05-17T12:30:00+02:00"; answers all its facts. */
export const setTaken = (id, taken) => change("PATCH", `/photos/${id}/`, { taken_at: taken }, { keepalive: true });

/** Say where the photo was taken (null: nowhere); answers all its facts. */
export const setPlace = (id, place) => change("PATCH", `/photos/${id}/`, { place }, { keepalive: true });

/** Give a photo keywords (`add`), and take others away (`remove`); what else it has stays, whoever gave it. */
export async function changeKeywords(id, { add = [], remove = [] }) {
  const { errors } = await change("POST", "/photos/keywords/", { photo_ids: [id], add, remove }, { keepalive: true });
  if (errors.length) throw new ApiError(errors[0].error, 422);
}

/** Let a video be made playable; answers `{state, progress, reason}`. */
export const wantRendition = (id, again = false) => post(`/photos/${id}/rendition/`, { again });

/** What has changed since the answer whose `cursor` is `after`: `libraries`, those `gone`, whether `favorites_changed`. */
export const fetchEvents = (after) => get("/events/poll", after ? { after } : {});
