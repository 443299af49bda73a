/** The keywords of the open photo: each can be taken away, a field adds to them, and the toast leads back. */

import { changeKeywords, fetchPhoto, get } from "photolala/api";
import { showToast } from "photolala/toast";

const PAUSE_MS = 200;
const LONGEST = 200;
const make = (name, properties) => Object.assign(document.createElement(name), properties);
const quoted = (words) => words.map((one) => `“${one}”`).join(", ");

/** One field for all photos. `saved(photo)` is called with a photo's new facts. */
export class KeywordField {
  constructor(saved) {
    Object.assign(this, { saved, photo: null });
    this.element = make("form", { className: "keyword-field", noValidate: true });
    this.list = make("ul", {});
    this.list.setAttribute("role", "list");
    this.list.setAttribute("aria-label", "Keywords of this photo");
    this.input = make("input", { id: "photo-keywords", autocomplete: "off", enterKeyHint: "done", placeholder: "Add a keyword" });
    this.input.setAttribute("list", "photo-keywords-known");
    this.input.setAttribute("aria-describedby", "photo-keywords-error");
    this.known = make("datalist", { id: "photo-keywords-known" });
    this.error = make("p", { id: "photo-keywords-error", className: "caption-error", hidden: true });
    this.error.setAttribute("role", "alert");
    this.element.append(make("label", { htmlFor: "photo-keywords", textContent: "Keywords" }), this.list, this.input, this.known, this.error);
    this.element.addEventListener("submit", (event) => (event.preventDefault(), this.leave()));
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.list.addEventListener("click", (event) => this.onList(event));
    this.input.addEventListener("input", () => this.onInput());
    this.input.addEventListener("blur", () => this.leave());
  }

  /** Show a photo's keywords; what is being typed for this very photo stays. */
  show(photo) {
    if (this.photo?.id !== photo.id) {
      this.leave();
      this.input.value = "";
      this.showError("");
    }
    this.photo = photo;
    this.list.replaceChildren(...photo.keywords.map((word) => {
      const button = make("button", { type: "button", textContent: "×", value: word });
      button.setAttribute("aria-label", `Remove the keyword ${word}`);
      const item = make("li", { textContent: word });
      item.append(button);
      return item;
    }));
  }

  showError(words) {
    this.error.textContent = words;
    this.error.hidden = !words;
    this.input.setAttribute("aria-invalid", String(Boolean(words)));
  }

  onKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.input.value = "";
      this.showError("");
      this.element.closest(".photo-panel")?.focus();
    }
    event.stopPropagation(); // the photo's own keys are letters, too
  }

  onList({ target }) {
    const button = target.closest("button");
    if (!button) return;
    void this.change(this.photo, { remove: [button.value] }, `${quoted([button.value])} is removed.`);
    this.input.focus();
  }

  /** Offer the keywords of one's libraries that begin like this. */
  onInput() {
    this.showError("");
    clearTimeout(this.pause);
    const typed = this.input.value.trim().replaceAll('"', " ");
    if (typed) this.pause = setTimeout(() => void this.suggest(typed), PAUSE_MS);
  }

  async suggest(typed) {
    const { results } = await get("/search/suggestions/", { q: `keyword:"${typed}` }).catch(() => ({ results: [] }));
    this.known.replaceChildren(...results.filter(({ kind }) => kind === "keyword").map(({ name }) => make("option", { value: name })));
  }

  /** Add what was typed; several are parted by commas. */
  leave() {
    clearTimeout(this.pause);
    const { photo } = this;
    const words = this.input.value.split(",").map((one) => one.trim()).filter(Boolean);
    if (!photo || !words.length) return undefined;
    const added = words.filter((one) => !photo.keywords.includes(one));
    const typed = this.input.value;
    if (words.some((one) => [...one].length > LONGEST)) return this.showError(`A keyword has at most ${LONGEST} characters. Shorten it.`);
    this.input.value = "";
    if (added.length) return void this.change(photo, { add: added }, `${quoted(added)} ${added.length > 1 ? "are" : "is"} added.`, typed);
    return undefined;
  }

  /** Change the photo's keywords, one change after the other; a refusal leaves what was `typed`. */
  change(photo, what, words, typed = "", isUndo = false) {
    this.last = Promise.resolve(this.last).then(async () => {
      try {
        await changeKeywords(photo.id, what);
        const changed = await fetchPhoto(photo.id);
        if (this.photo?.id === changed.id) this.show(changed);
        this.saved(changed);
      } catch ({ message }) {
        return this.refuse(photo, `The keywords are not changed. ${message}`, typed);
      }
      const back = { add: what.remove ?? [], remove: what.add ?? [] };
      const action = isUndo ? null : { label: "Undo", run: () => void this.change(photo, back, "The keywords are as they were.", "", true) };
      return showToast(words, { kind: "keywords", action });
    });
    return this.last;
  }

  refuse(photo, words, typed) {
    if (this.photo?.id !== photo.id || !this.element.isConnected) return showToast(words, { kind: "keywords" });
    if (!this.input.value) this.input.value = typed;
    return this.showError(words);
  }
}
