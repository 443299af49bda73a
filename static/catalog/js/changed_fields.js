/** What stands in words beside an open photo until somebody changes it, date and place: saved on leaving; the toast leads back. */

import { setPlace, setTaken } from "photolala/api";
import { offsetWords, takenTitle } from "photolala/dates";
import { make, PhotoField } from "photolala/photo_fields";
import { announce } from "photolala/toast";

/** Dates that a person gave, or that the file says in words of its own: they can be given again. */
const TOLD = new Set(["exif", "xmp", "iptc", "quicktime", "sidecar", "person"]);

/** "2024-05-17T12:30:00" of what a photo says, without its offset. */
const wallClock = (text) => (text ?? "").slice(0, 19);

/** The offset at the end of a date, "" if it has none. */
const offsetOf = (text) => /([+-]\d\d:\d\d|Z)$/.exec(text ?? "")?.[1] ?? "";

const placeOf = (photo) => ((photo?.latitude ?? null) === null ? null : { latitude: photo.latitude, longitude: photo.longitude });

/** A field that shows words until somebody wants to change them. */
class ChangedField extends PhotoField {
  /** `words` is the element that shows what there is. */
  constructor(saved, name, label, input, words) {
    super(saved, name, label, input);
    this.words = words;
    words.className = "grow";
    this.change = this.button("Change", () => this.edit());
    this.save = this.button("Save");
    this.row = make("div", { className: "row" }, words, this.change, input, this.save);
    this.element.append(this.row, this.error);
  }

  /** Without `run` it submits the field, as Enter does. */
  button(words, run = null) {
    const made = make("button", { type: run ? "button" : "submit", className: "button is-plain", textContent: words, onclick: run });
    made.setAttribute("aria-label", `${words} the ${this.name}`);
    return made;
  }

  /** `others` are shown while one edits, besides the field. */
  showEditing(isEditing, ...others) {
    this.isEditing = isEditing;
    for (const one of [this.words, this.change]) one.hidden = isEditing;
    for (const one of [this.input, this.save, ...others]) one.hidden = !isEditing;
    this.showError("");
  }

  close() {
    const hadFocus = this.element.contains(document.activeElement);
    this.showEditing(false);
    if (hadFocus) this.change.focus();
  }

  cancel() {
    this.close();
  }

  onKey(event) {
    if (event.key === "Escape" && !this.isEditing) event.stopPropagation();
    else super.onKey(event);
  }
}

/** When it was taken. */
export class DateField extends ChangedField {
  constructor(saved) {
    super(saved, "date", "Taken", make("input", { type: "datetime-local", step: 1, required: true }), make("span"));
    this.row.append((this.discard = make("button", { type: "button", className: "button is-plain", textContent: "Cancel", onclick: () => this.close() })));
    this.showEditing(false);
  }

  /** Show a photo's date; what is typed for this very photo stays. */
  show(photo) {
    const isOther = !this.isOf(photo);
    if (isOther) this.leave();
    if (isOther || !this.isEditing) this.photo = photo;
    this.words.textContent = takenTitle(photo.taken_local) + offsetWords(photo.taken_local);
  }

  showEditing(isEditing) {
    super.showEditing(isEditing, this.discard);
  }

  edit() {
    if (this.isEditing) return this.input.focus();
    this.input.value = wallClock(this.photo.taken_local);
    this.showEditing(true);
    return this.input.focus();
  }

  cancel() {
    this.close();
    announce("The date is as it was.");
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
      if (this.isOf(photo) && this.isEditing) this.showError(refusal);
      else this.tell(refusal);
      return;
    }
    if (this.isOf(changed)) {
      this.photo = changed;
      if (this.isEditing) this.close();
      this.show(changed);
    }
    this.saved(changed);
    this.tell(words, this.wayBack(photo));
  }

  /** What the file never said cannot be said again: the page of dates takes such a change back. */
  wayBack(before) {
    if (!TOLD.has(before.taken_source)) return { label: "Undo …", href: `/dates/?photo=${before.id}` };
    return { label: "Undo", run: () => void this.send(before, before.taken_local, "The date is as it was.") };
  }
}

/** Where it was taken: degrees, or a map's link. `told(photo)` gives `[words, link]`. */
export class PlaceField extends ChangedField {
  constructor(saved, told) {
    super(saved, "place", "Place", make("input", { autocomplete: "off", placeholder: "48.8583, 2.2945" }), make("a", { target: "_blank", rel: "noopener noreferrer" }));
    this.told = told;
    this.row.append((this.clear = this.button("Remove", () => this.send(this.photo, null, "The place is removed."))));
    this.showEditing(false);
  }

  show(photo) {
    if (!this.isOf(photo)) {
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
    super.showEditing(isEditing);
    this.clear.hidden = !isEditing || !placeOf(this.photo);
  }

  edit() {
    this.input.value = "";
    this.showEditing(true);
    this.input.focus();
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
      if (this.isOf(changed)) {
        this.show(changed);
        if (this.isEditing) this.close();
      }
      this.saved(changed);
    } catch ({ message }) {
      if (this.isOf(photo) && this.isEditing) return this.showError(message);
      return this.tell(`The place is not saved. ${message}`);
    }
    const action = isUndo ? null : { label: "Undo", run: () => void this.send(photo, placeOf(photo), "The place is as it was.", true) };
    return this.tell(words, action);
  }
}
