/** The caption of the open photo as a field: saved with Ctrl Enter and on leaving it, and never lost by a refusal. */

import { setCaption } from "photolala/api";
import { announce, showToast } from "photolala/toast";

const LONGEST = 10_000;

/** One field for all photos. `saved(photo)` is called with a photo's new facts. */
export class CaptionField {
  constructor(saved) {
    this.saved = saved;
    /** What was typed and is not saved (yet), by photo: `{text, error}`. */
    this.drafts = new Map();
    /** The last save of each photo, so that a later one follows it. */
    this.saving = new Map();
    this.element = document.createElement("div");
    this.element.className = "caption-field";
    this.label = Object.assign(document.createElement("label"), { htmlFor: "photo-caption", textContent: "Caption" });
    this.input = Object.assign(document.createElement("textarea"), { id: "photo-caption", rows: 2 });
    this.hint = Object.assign(document.createElement("p"), { id: "photo-caption-hint", className: "caption-hint", textContent: "It is saved when you leave it, or with Ctrl Enter. Escape cancels." });
    this.error = Object.assign(document.createElement("p"), { id: "photo-caption-error", className: "caption-error", hidden: true });
    this.error.setAttribute("role", "alert");
    this.input.setAttribute("aria-describedby", "photo-caption-error photo-caption-hint");
    this.element.append(this.label, this.input, this.error, this.hint);
    this.input.addEventListener("input", () => this.onInput());
    this.input.addEventListener("blur", () => void this.save());
    this.input.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Show a photo's caption, or what was typed for it before. */
  show(photo) {
    if (this.photo?.id !== photo.id) void this.save();
    this.photo = { id: photo.id, caption: photo.caption, name: photo.filename };
    const draft = this.drafts.get(photo.id);
    const text = draft ? draft.text : photo.caption;
    if (this.input.value !== text) this.input.value = text;
    this.showError(draft?.error ?? "");
    this.fit();
  }

  focus() {
    this.input.focus();
    this.input.setSelectionRange(this.input.value.length, this.input.value.length);
  }

  /** As high as its text. */
  fit() {
    this.input.style.height = "auto";
    if (this.input.scrollHeight) this.input.style.height = `${this.input.scrollHeight + 2}px`;
  }

  onInput() {
    if (this.input.value === this.photo.caption && !this.saving.has(this.photo.id)) this.drafts.delete(this.photo.id);
    else this.drafts.set(this.photo.id, { text: this.input.value, error: "" });
    const { length } = [...this.input.value];
    this.showError(length > LONGEST ? `A caption has at most ${LONGEST.toLocaleString("en")} characters; this one has ${length.toLocaleString("en")}.` : "");
    this.fit();
  }

  onKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void this.save();
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.cancel();
    }
    event.stopPropagation(); // the photo's own keys are letters, too
  }

  /** Show again what is saved. */
  cancel() {
    this.drafts.delete(this.photo.id);
    this.input.value = this.photo.caption;
    this.showError("");
    this.fit();
    this.element.closest(".photo-panel")?.focus();
    announce("The caption is as it was.");
  }

  showError(words) {
    this.error.textContent = words;
    this.error.hidden = !words;
    this.input.setAttribute("aria-invalid", String(Boolean(words)));
  }

  /** Save what was typed for the photo that is shown. `isLast`: the page is being left. */
  async save({ isLast = false } = {}) {
    const { photo } = this;
    const draft = photo && this.drafts.get(photo.id);
    if (!draft || draft.isSending) return;
    draft.isSending = true;
    const before = this.saving.get(photo.id);
    const sent = (async () => {
      await before;
      try {
        this.take(draft, await setCaption(photo.id, draft.text, isLast), photo.caption);
      } catch (error) {
        this.refuse(photo, draft, error);
      }
    })();
    this.saving.set(photo.id, sent);
    await sent;
    if (this.saving.get(photo.id) === sent) this.saving.delete(photo.id);
  }

  take(draft, photo, before) {
    if (this.drafts.get(photo.id) === draft) this.drafts.delete(photo.id);
    if (this.photo.id === photo.id) {
      this.photo.caption = photo.caption;
      if (!this.drafts.has(photo.id)) this.show(photo);
    }
    this.saved(photo);
    announce("The caption is saved.");
    if (photo.caption !== before) showToast("The caption is saved.", { kind: "caption", action: { label: "Undo", run: () => void this.undo(photo, before) } });
  }

  /** Give the photo its earlier caption again; what is typed for it meanwhile stays. */
  async undo({ id }, before) {
    await this.saving.get(id);
    try {
      const photo = await setCaption(id, before);
      if (this.photo.id === id) this.photo.caption = photo.caption;
      this.saved(photo);
      showToast("The caption is as it was.", { kind: "caption" });
    } catch ({ message }) {
      showToast(`The caption was not changed back. ${message}`, { kind: "caption" });
    }
  }

  /** The text stays, with the reason, also when the photo is opened again. */
  refuse(photo, draft, { message }) {
    draft.isSending = false;
    draft.error = `It is not saved. ${message}`;
    if (this.drafts.get(photo.id) !== draft) return; // typed on meanwhile: that is saved, or refused, by itself
    if (this.photo.id === photo.id && this.element.isConnected) this.showError(draft.error);
    else showToast(`The caption of ${photo.name} is not saved: ${message} Open the photo to see your text.`, { kind: "caption" });
  }
}
