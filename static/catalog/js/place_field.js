/** The place of the open photo: degrees, or a map's link. */

import { setPlace } from "photolala/api";
import { showToast } from "photolala/toast";

const make = (name, properties) => Object.assign(document.createElement(name), properties);
const placeOf = (photo) => ((photo?.latitude ?? null) === null ? null : { latitude: photo.latitude, longitude: photo.longitude });

/** `saved(photo)` gets new facts, `told(photo)` gives `[words, link]`. */
export class PlaceField {
  constructor(saved, told) {
    Object.assign(this, { saved, told, photo: null });
    this.element = make("form", { className: "date-field place-field", noValidate: true });
    const button = (textContent, label, run) => {
      const made = make("button", { type: "button", className: "button is-plain", textContent });
      made.setAttribute("aria-label", label);
      made.addEventListener("click", run);
      return made;
    };
    this.words = make("a", { className: "grow", target: "_blank", rel: "noopener noreferrer" });
    this.change = button("Change", "Change the place", () => this.edit());
    this.input = make("input", { id: "photo-place", autocomplete: "off", placeholder: "48.8583, 2.2945" });
    this.save = button("Save", "Save the place", () => this.leave());
    this.clear = button("Remove", "Remove the place", () => this.send(this.photo, null, "The place is removed."));
    this.error = make("p", { className: "caption-error", hidden: true });
    this.error.setAttribute("role", "alert");
    const row = make("div", { className: "row" });
    row.append(this.words, this.change, this.input, this.save, this.clear);
    this.element.append(make("label", { htmlFor: "photo-place", textContent: "Place" }), row, this.error);
    this.element.addEventListener("submit", (event) => (event.preventDefault(), this.leave()));
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.showEditing(false);
  }

  show(photo) {
    if (this.photo?.id !== photo.id) {
      this.leave();
      this.showEditing(false);
    }
    this.photo = photo;
    const [words, link] = this.told(photo);
    this.words.textContent = words || "Not known";
    if (link) this.words.href = link;
    else this.words.removeAttribute("href");
  }

  showEditing(isEditing) {
    this.isEditing = isEditing;
    for (const one of [this.words, this.change]) one.hidden = isEditing;
    for (const one of [this.input, this.save]) one.hidden = !isEditing;
    this.clear.hidden = !isEditing || !placeOf(this.photo);
    this.showError("");
  }

  edit() {
    this.input.value = "";
    this.showEditing(true);
    this.input.focus();
  }

  onKey(event) {
    if (event.key === "Escape" && this.isEditing) {
      event.preventDefault();
      this.close();
    }
    event.stopPropagation();
  }

  close() {
    this.showEditing(false);
    this.change.focus();
  }

  showError(words) {
    this.error.textContent = words;
    this.error.hidden = !words;
  }

  leave() {
    if (!this.isEditing) return;
    const typed = this.input.value.trim();
    if (typed) void this.send(this.photo, typed, "The place is saved.");
    else this.showEditing(false);
  }

  /** Give the photo this place, null for none. */
  async send(photo, wanted, words, isUndo = false) {
    try {
      const changed = await setPlace(photo.id, wanted);
      if (this.photo?.id === changed.id) {
        this.show(changed);
        if (this.isEditing) this.close();
      }
      this.saved(changed);
    } catch ({ message }) {
      if (this.photo?.id === photo.id && this.isEditing) return this.showError(message);
      return showToast(`The place is not saved. ${message}`, { kind: "place" });
    }
    const action = isUndo ? null : { label: "Undo", run: () => void this.send(photo, placeOf(photo), "The place is as it was.", true) };
    return showToast(words, { kind: "place", action });
  }
}
