/** "Add to an album": choose one that one may change, or make a new one. */

import { get, post } from "photolala/api";
import { countPhotos, formatNumber } from "photolala/dates";
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
