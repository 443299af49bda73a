/** What asks where selected photos go: to an album, to a destination, or into a download, and what that would lack. */

import { csrfToken, get, post } from "photolala/api";
import { countPhotos, formatNumber, sizeText } from "photolala/dates";
import { showToast } from "photolala/toast";

const PER_REQUEST = 1_000;

export class AlbumDialog {
  constructor() {
    this.dialog = document.getElementById("album-dialog");
    this.choices = this.dialog.querySelector(".album-choices");
    this.form = this.dialog.querySelector("form");
    this.error = this.dialog.querySelector(".form-error");
    this.choices.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) void this.add(button.value, button.dataset.title);
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.make();
    });
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
  }

  /** Let the person choose where the photos with these ids go. */
  async ask(ids) {
    if (!ids.length) return;
    this.ids = ids;
    this.dialog.querySelector("[data-count]").textContent = countPhotos(ids.length);
    this.error.hidden = true;
    this.choices.replaceChildren();
    this.dialog.showModal();
    try {
      const { results } = await get("/albums/", { limit: 1000 });
      this.choices.replaceChildren(...results.filter(({ role, query }) => role !== "viewer" && !query).map((album) => this.choiceOf(album)));
    } catch (error) {
      this.say(error.message);
    }
  }

  choiceOf(album) {
    const button = document.createElement("button");
    button.type = "button";
    button.value = album.id;
    button.dataset.title = album.title;
    const count = Object.assign(document.createElement("span"), { className: "muted small nowrap", textContent: album.item_count === 1 ? "1 item" : `${formatNumber(album.item_count)} items` });
    button.append(Object.assign(document.createElement("span"), { textContent: album.title }), count);
    return button;
  }

  async make() {
    const title = this.form.elements.title.value.trim();
    if (!title) return;
    try {
      const album = await post("/albums/", { title });
      this.form.reset();
      await this.add(album.id, title);
    } catch (error) {
      this.say(error.message);
    }
  }

  async add(id, title) {
    let added = 0;
    const errors = [];
    try {
      for (let start = 0; start < this.ids.length; start += PER_REQUEST) {
        const items = this.ids.slice(start, start + PER_REQUEST).map((photo) => ({ target_type: "photo", target_id: photo }));
        const answer = await post(`/albums/${id}/items/`, { items });
        added += answer.success_count;
        errors.push(...answer.errors);
      }
    } catch (error) {
      this.say(error.message);
      return;
    }
    this.dialog.close();
    const refused = errors.length ? ` ${countPhotos(errors.length)} could not be added. ${errors[0].error}` : "";
    showToast(`${countPhotos(added)} in “${title}”.${refused}`, { kind: "album", action: { label: "Open", href: `/albums/${id}/` } });
    this.dialog.dispatchEvent(new CustomEvent("added"));
  }

  say(words) {
    this.error.textContent = words;
    this.error.hidden = false;
  }
}

const ADDRESS = "/photos/download/";
const MOST_REASONS = 5;

/** Ask the server what a download of these photos would be, and begin it, once the person knows what it lacks. */
export async function downloadPhotos(ids, album = "") {
  let plan;
  try {
    plan = await post("/photos/download/plan/", { photo_ids: ids, ...(album && { album }) });
  } catch (error) {
    showToast(error.message, { kind: "download", action: { label: "Try again", run: () => void downloadPhotos(ids, album) } });
    return;
  }
  if (plan.error_count && !(await isWanted(plan))) return;
  send(ids, album);
  showToast(`${plan.filename} (${sizeText(plan.size_bytes)}) is being downloaded.`, { kind: "download" });
}

/** Say which photos the download would lack; whether the others are wanted nevertheless. */
function isWanted(plan) {
  const dialog = document.getElementById("download-dialog");
  dialog.querySelector("[data-missing]").textContent = countPhotos(plan.error_count);
  dialog.querySelector("[data-rest]").textContent = countPhotos(plan.success_count);
  const reasons = plan.errors.slice(0, MOST_REASONS).map(({ error }) => Object.assign(document.createElement("li"), { textContent: error }));
  dialog.querySelector("ul").replaceChildren(...reasons);
  dialog.querySelector("[data-more]").hidden = plan.error_count <= MOST_REASONS;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** A form, because the answer is a file that the browser saves; the page stays. */
function send(ids, album) {
  const form = Object.assign(document.createElement("form"), { method: "post", action: ADDRESS, hidden: true });
  for (const [name, value] of Object.entries({ csrfmiddlewaretoken: csrfToken(), photos: ids.join(","), album })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  document.body.append(form);
  form.submit();
  form.remove();
}

/** Let the person choose where the photos with these ids go, and begin. */
export async function exportPhotos(ids) {
  const dialog = document.getElementById("export-dialog");
  const [choices, error] = [dialog.querySelector(".album-choices"), dialog.querySelector(".form-error")];
  const say = (words) => {
    error.textContent = words;
    error.hidden = !words;
  };
  const begin = async (destination) => {
    try {
      const { id } = await post("/photos/export/", { photo_ids: ids, destination: destination.id });
      dialog.close();
      showToast(`${countPhotos(ids.length)} will be copied to “${destination.name}”.`, { kind: "export", action: { label: "Show", href: `/operations/${id}/` } });
    } catch (refused) {
      say(refused.message);
    }
  };
  dialog.querySelector("[data-count]").textContent = countPhotos(ids.length);
  say("");
  choices.replaceChildren();
  dialog.showModal();
  try {
    const { results } = await get("/export-destinations/", { limit: 1000 });
    const buttonOf = (one) => Object.assign(document.createElement("button"), { type: "button", textContent: one.name, onclick: () => void begin(one) });
    choices.replaceChildren(...results.map(buttonOf));
    dialog.querySelector("[data-none]").hidden = results.length > 0;
  } catch (failed) {
    say(failed.message);
  }
}
