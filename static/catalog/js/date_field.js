/** The date of the open photo, changed in place: saved with Enter and on leaving it; the toast leads back. */

import { setTaken } from "photolala/api";
import { offsetWords, takenTitle } from "photolala/dates";
import { announce, showToast } from "photolala/toast";

/** Dates that a person gave, or that the file says in words of its own: they can be given again. */
const TOLD = new Set(["exif", "xmp", "iptc", "quicktime", "sidecar", "person"]);

const make = (name, properties) => Object.assign(document.createElement(name), properties);

/** "2024-05-17T12:30:00" of what a photo says, without its offset. */
const wallClock = (text) => (text ?? "").slice(0, 19);

/** The offset at the end of a date, "" if it has none. */
const offsetOf = (text) => /([+-]\d\d:\d\d|Z)$/.exec(text ?? "")?.[1] ?? "";

/** One field for all photos. `saved(photo)` is called with a photo's new facts. */
export class DateField {
  constructor(saved) {
    this.saved = saved;
    this.photo = null;
    this.element = make("form", { className: "date-field", noValidate: true });
    this.label = make("label", { htmlFor: "photo-date", textContent: "Taken" });
    this.words = make("span", { className: "grow" });
    this.change = make("button", { type: "button", className: "button is-plain", textContent: "Change" });
    this.change.setAttribute("aria-label", "Change the date");
    this.input = make("input", { id: "photo-date", type: "datetime-local", step: 1, required: true });
    this.save = make("button", { className: "button is-plain", textContent: "Save" });
    this.cancel = make("button", { type: "button", className: "button is-plain", textContent: "Cancel" });
    this.error = make("p", { id: "photo-date-error", className: "caption-error", hidden: true });
    this.error.setAttribute("role", "alert");
    this.input.setAttribute("aria-describedby", "photo-date-error");
    this.row = make("div", { className: "row" });
    this.row.append(this.words, this.change, this.input, this.save, this.cancel);
    this.element.append(this.label, this.row, this.error);
    this.change.addEventListener("click", () => this.edit());
    this.cancel.addEventListener("click", () => this.close());
    this.element.addEventListener("submit", (event) => (event.preventDefault(), void this.submit()));
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.showEditing(false);
  }

  /** Show a photo's date; what is typed for this very photo stays. */
  show(photo) {
    const isOther = this.photo?.id !== photo.id;
    if (isOther) this.leave();
    if (isOther || !this.isEditing) this.photo = photo;
    this.words.textContent = takenTitle(photo.taken_local) + offsetWords(photo.taken_local);
  }

  showEditing(isEditing) {
    this.isEditing = isEditing;
    for (const one of [this.words, this.change]) one.hidden = isEditing;
    for (const one of [this.input, this.save, this.cancel]) one.hidden = !isEditing;
  }

  edit() {
    if (this.isEditing) return this.input.focus();
    this.input.value = wallClock(this.photo.taken_local);
    this.showError("");
    this.showEditing(true);
    return this.input.focus();
  }

  close() {
    const hadFocus = this.element.contains(document.activeElement);
    this.showEditing(false);
    this.showError("");
    if (hadFocus) this.change.focus();
  }

  onKey(event) {
    if (event.key === "Escape" && this.isEditing) {
      event.preventDefault();
      this.close();
      announce("The date is as it was.");
    }
    event.stopPropagation(); // the photo's own keys are arrows and digits, too
  }

  showError(words) {
    this.error.textContent = words;
    this.error.hidden = !words;
    this.input.setAttribute("aria-invalid", String(Boolean(words)));
  }

  /** Another photo comes, or none: what was typed to its end is saved. */
  leave() {
    if (!this.isEditing) return;
    const isWhole = this.input.value && this.input.value !== wallClock(this.photo.taken_local);
    if (isWhole) void this.submit();
    this.showEditing(false);
  }

  async submit() {
    const { photo } = this;
    const typed = this.input.value;
    if (!typed) return this.showError("The date is not complete. Nothing was changed.");
    const wanted = typed.length === 16 ? `${typed}:00` : typed;
    if (wanted === wallClock(photo.taken_local)) return this.close();
    return this.send(photo, wanted + offsetOf(photo.taken_local), "The date is saved.");
  }

  /** Give the photo this date; `words` say so, with a way back where there is one. */
  async send(photo, wanted, words) {
    let changed;
    try {
      changed = await setTaken(photo.id, wanted);
    } catch ({ message }) {
      const refusal = `The date is not saved. ${message}`;
      if (this.photo?.id === photo.id && this.isEditing) this.showError(refusal);
      else showToast(refusal, { kind: "date" });
      return;
    }
    if (this.photo?.id === changed.id) {
      this.photo = changed;
      if (this.isEditing) this.close();
      this.show(changed);
    }
    this.saved(changed);
    showToast(words, { kind: "date", action: this.wayBack(photo) });
  }

  /** What the file never said cannot be said again: the page of dates takes such a change back. */
  wayBack(before) {
    if (!TOLD.has(before.taken_source)) return { label: "Undo …", href: `/dates/?photo=${before.id}` };
    return { label: "Undo", run: () => void this.send(before, before.taken_local, "The date is as it was.") };
  }
}
