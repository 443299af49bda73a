/** What is typed beside an open photo, caption and keywords: saved on leaving the field; the toast leads back. */

import { changeKeywords, fetchPhoto, get, setCaption } from "photolala/api";
import { announce, showToast } from "photolala/toast";

const LONGEST_CAPTION = 10_000;
const LONGEST_KEYWORD = 200;
const PAUSE_MS = 200;
const quoted = (words) => words.map((one) => `“${one}”`).join(", ");

/** A new element with these properties and children. */
export function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** One field for all photos. `saved(photo)` is called with a photo's new facts. */
export class PhotoField {
  /** `name` is "caption", say; `label` its words; `input` the element that is typed in. */
  constructor(saved, name, label, input) {
    Object.assign(this, { saved, name, input, photo: null });
    const id = `photo-${name}`;
    Object.assign(input, { id });
    this.label = make("label", { htmlFor: id, textContent: label });
    this.error = make("p", { id: `${id}-error`, className: "photo-field-error", hidden: true });
    this.error.setAttribute("role", "alert");
    input.setAttribute("aria-describedby", this.error.id);
    this.element = make("form", { className: `photo-field ${name}-field`, noValidate: true }, this.label);
    this.element.addEventListener("submit", (event) => (event.preventDefault(), this.submit()));
    this.element.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Leave it as it was, on Escape. */
  onKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.cancel();
    }
    event.stopPropagation(); // the photo's own keys are letters, digits and arrows, too
  }

  /** What was typed is to be saved. */
  submit() {
    this.leave();
  }

  /** Whether this is the photo that is shown. */
  isOf({ id }) {
    return this.photo?.id === id;
  }

  /** Back from the field to the panel. */
  leaveFocus() {
    this.element.closest(".photo-panel")?.focus();
  }

  showError(words) {
    this.error.textContent = words;
    this.error.hidden = !words;
    this.input.setAttribute("aria-invalid", String(Boolean(words)));
  }

  /** The newest word about this field replaces the one before. */
  tell(words, action = null) {
    showToast(words, { kind: this.name, action });
  }
}

/** The caption: saved with Ctrl Enter and on leaving it, and never lost by a refusal. */
export class CaptionField extends PhotoField {
  constructor(saved) {
    super(saved, "caption", "Caption", make("textarea", { rows: 2 }));
    /** What was typed and is not saved (yet), by photo: `{text, error}`. */
    this.drafts = new Map();
    /** The last save of each photo, so that a later one follows it. */
    this.saving = new Map();
    const hint = make("p", { id: "photo-caption-hint", className: "caption-hint", textContent: "It is saved when you leave it, or with Ctrl Enter. Escape cancels." });
    this.input.setAttribute("aria-describedby", `${this.error.id} ${hint.id}`);
    this.element.append(this.input, this.error, hint);
    this.input.addEventListener("input", () => this.onInput());
    this.input.addEventListener("blur", () => this.leave());
  }

  /** Show a photo's caption, or what was typed for it before. */
  show(photo) {
    if (!this.isOf(photo)) this.leave();
    this.photo = { id: photo.id, caption: photo.caption, name: photo.filename };
    const draft = this.drafts.get(photo.id);
    const text = draft ? draft.text : photo.caption;
    if (this.input.value !== text) this.input.value = text;
    this.showError(draft?.error ?? "");
    this.fit();
  }

  edit() {
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
    this.showError(length > LONGEST_CAPTION ? `A caption has at most ${LONGEST_CAPTION.toLocaleString("en")} characters; this one has ${length.toLocaleString("en")}.` : "");
    this.fit();
  }

  onKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.leave();
    }
    super.onKey(event);
  }

  /** Show again what is saved. */
  cancel() {
    this.drafts.delete(this.photo.id);
    this.input.value = this.photo.caption;
    this.showError("");
    this.fit();
    this.leaveFocus();
    announce("The caption is as it was.");
  }

  /** `isLast`: the page is being left. */
  leave(isLast = false) {
    void this.save(isLast);
  }

  /** Save what was typed for the photo that is shown. */
  async save(isLast) {
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
    if (this.isOf(photo)) {
      this.photo.caption = photo.caption;
      if (!this.drafts.has(photo.id)) this.show(photo);
    }
    this.saved(photo);
    announce("The caption is saved.");
    if (photo.caption !== before) this.tell("The caption is saved.", { label: "Undo", run: () => void this.undo(photo, before) });
  }

  /** Give the photo its earlier caption again; what is typed for it meanwhile stays. */
  async undo({ id }, before) {
    await this.saving.get(id);
    try {
      const photo = await setCaption(id, before);
      if (this.isOf(photo)) this.photo.caption = photo.caption;
      this.saved(photo);
      this.tell("The caption is as it was.");
    } catch ({ message }) {
      this.tell(`The caption was not changed back. ${message}`);
    }
  }

  /** The text stays, with the reason, also when the photo is opened again. */
  refuse(photo, draft, { message }) {
    draft.isSending = false;
    draft.error = `It is not saved. ${message}`;
    if (this.drafts.get(photo.id) !== draft) return; // typed on meanwhile: that is saved, or refused, by itself
    if (this.isOf(photo) && this.element.isConnected) this.showError(draft.error);
    else this.tell(`The caption of ${photo.name} is not saved: ${message} Open the photo to see your text.`);
  }
}

/** Keywords: each can be taken away, a field adds to them. */
export class KeywordField extends PhotoField {
  constructor(saved) {
    super(saved, "keywords", "Keywords", make("input", { autocomplete: "off", enterKeyHint: "done", placeholder: "Add a keyword" }));
    this.list = make("ul");
    this.list.setAttribute("role", "list");
    this.list.setAttribute("aria-label", "Keywords of this photo");
    this.known = make("datalist", { id: "photo-keywords-known" });
    this.input.setAttribute("list", this.known.id);
    this.element.append(this.list, this.input, this.known, this.error);
    this.list.addEventListener("click", (event) => this.onList(event));
    this.input.addEventListener("input", () => this.onInput());
    this.input.addEventListener("blur", () => this.leave());
  }

  /** Show a photo's keywords; what is being typed for this very photo stays. */
  show(photo) {
    if (!this.isOf(photo)) {
      this.leave();
      this.empty();
    }
    this.photo = photo;
    this.list.replaceChildren(...photo.keywords.map((word) => {
      const button = make("button", { type: "button", textContent: "×", value: word });
      button.setAttribute("aria-label", `Remove the keyword ${word}`);
      return make("li", {}, word, button);
    }));
  }

  edit() {
    this.input.focus();
  }

  empty() {
    this.input.value = "";
    this.showError("");
  }

  cancel() {
    this.empty();
    this.leaveFocus();
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
    if (words.some((one) => [...one].length > LONGEST_KEYWORD)) return this.showError(`A keyword has at most ${LONGEST_KEYWORD} characters. Shorten it.`);
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
        if (this.isOf(changed)) this.show(changed);
        this.saved(changed);
      } catch ({ message }) {
        return this.refuse(photo, `The keywords are not changed. ${message}`, typed);
      }
      const back = { add: what.remove ?? [], remove: what.add ?? [] };
      const action = isUndo ? null : { label: "Undo", run: () => void this.change(photo, back, "The keywords are as they were.", "", true) };
      return this.tell(words, action);
    });
    return this.last;
  }

  refuse(photo, words, typed) {
    if (!this.isOf(photo) || !this.element.isConnected) return this.tell(words);
    if (!this.input.value) this.input.value = typed;
    return this.showError(words);
  }
}
