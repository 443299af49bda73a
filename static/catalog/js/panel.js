/** What is known about a photo, in words, beside the open photo. */

import { DateField, PlaceField } from "photolala/changed_fields";
import { formatNumber, offsetWords, sizeText, takenTitle } from "photolala/dates";
import { CaptionField, KeywordField } from "photolala/photo_fields";

const DATE_SOURCES = {
  exif: "from the photo", xmp: "from its XMP data", iptc: "from its IPTC data", quicktime: "from the video",
  person: "given by a person", sidecar: "from the file beside it", filename: "estimated from the file's name", file: "estimated from the file's time",
};

function exposure(photo) {
  const parts = [];
  if (photo.aperture) parts.push(`ƒ/${Number(photo.aperture.toFixed(1))}`);
  if (photo.shutter_speed) parts.push(`${photo.shutter_speed} s`);
  if (photo.iso) parts.push(`ISO ${formatNumber(photo.iso)}`);
  if (photo.focal_length) parts.push(`${Number(photo.focal_length.toFixed(1))} mm`);
  return parts.join(" · ");
}

function place(photo) {
  if (photo.latitude === null || photo.latitude === undefined) return "";
  const words = (value, positive, negative) => `${Math.abs(value).toFixed(5)}° ${value < 0 ? negative : positive}`;
  const position = `${words(photo.latitude, "N", "S")}, ${words(photo.longitude, "E", "W")}`;
  return photo.place_name ? `${photo.place_name} · ${position}` : position;
}

/** Where a map shows the place; nothing is asked of it before somebody follows the link. */
function mapOf({ latitude, longitude }) {
  const at = `${latitude.toFixed(5)}/${longitude.toFixed(5)}`;
  return `https://www.openstreetmap.org/?mlat=${latitude.toFixed(5)}&mlon=${longitude.toFixed(5)}#map=15/${at}`;
}

const placed = (photo) => [place(photo), place(photo) && mapOf(photo)];

function dimensions(photo) {
  if (!photo.width || !photo.height) return sizeText(photo.size_bytes);
  const megapixels = (photo.width * photo.height) / 1e6;
  const rounded = megapixels >= 0.1 ? ` · ${megapixels.toFixed(1)} megapixels` : "";
  return `${formatNumber(photo.width)} × ${formatNumber(photo.height)}${rounded} · ${sizeText(photo.size_bytes)}`;
}

function camera(photo) {
  const { camera_make: make = "", camera_model: model = "" } = photo;
  return model.toLowerCase().startsWith(make.toLowerCase().split(" ")[0]) ? model : `${make} ${model}`.trim();
}

/** "image/jpeg" -> "JPEG picture", as the pages write it. */
const kindWords = (type = "") => type && `${type.replace(/^.*\/(x-)?|\+xml$/g, "").replaceAll("-", " ").toUpperCase()} ${type.startsWith("video/") ? "video" : "picture"}`;

const starWords = (count) => `${"★".repeat(count)}${"☆".repeat(5 - count)} ${count} of 5`;

/** One's own stars, and the photo's (its owner's) where those are others. */
function starsOf({ favorite: own = 0, rating }) {
  if (own && rating && own !== rating) return `${starWords(own)} from you, ${starWords(rating)} in the library`;
  return own || rating ? starWords(own || rating) : "";
}

/** `[heading, words]`, or `[heading, words, address]`, of everything known; rows without words are left out. `libraries` maps ids to names. */
export function factsOf(photo, libraries = {}) {
  return [
    ["Problem", photo.problem],
    ["Stars", starsOf(photo)],
    ["Taken", photo.can_edit ? "" : takenTitle(photo.taken_local) + offsetWords(photo.taken_local)],
    ["Date", DATE_SOURCES[photo.taken_source] ?? photo.taken_source],
    ["Caption", photo.can_edit ? "" : photo.caption],
    ["Keywords", photo.can_edit ? "" : (photo.keywords ?? []).join(", ")],
    ["Camera", camera(photo)],
    ["Lens", photo.lens_model],
    ["Exposure", exposure(photo)],
    ["Size", dimensions(photo)],
    ["Place", ...(photo.can_edit ? [""] : placed(photo))],
    ["Library", libraries[photo.library]],
    ["File", photo.path],
    ["Kind", kindWords(photo.media_type)],
    ["Notes", (photo.notes ?? []).join(" ")],
  ].filter(([, words]) => words);
}

/** The side panel; `show(id)` fills it, the last asked for wins. */
export class InfoPanel {
  /** `changed(photo)` is called with the new facts of a photo whose caption, date, keywords or place were changed here. */
  constructor(libraries, fetchPhoto, changed = () => undefined) {
    Object.assign(this, { libraries, fetchPhoto, changed });
    this.element = document.createElement("aside");
    this.element.className = "photo-panel";
    this.element.setAttribute("aria-label", "About this photo");
    this.element.hidden = true;
    this.element.tabIndex = -1;
    this.cache = new Map();
    const taken = (photo) => this.take(photo);
    this.fields = { caption: new CaptionField(taken), date: new DateField(taken), keywords: new KeywordField(taken), place: new PlaceField(taken, placed) };
  }

  /** Know these facts of a photo from now on. */
  take(photo) {
    this.cache.set(photo.id, Promise.resolve(photo));
    this.changed(photo);
    if (this.wanted === photo.id) void this.show(photo.id);
  }

  /** Save what was typed, for the photo or the panel goes; or, if `isLast`, the page. */
  leave(isLast = false) {
    for (const field of Object.values(this.fields)) field.leave(isLast);
  }

  /** Let a field be changed ("caption", "date" …), if the photo that is shown may be. */
  async edit(name) {
    await this.shown;
    const field = this.fields[name];
    if (field.element.isConnected) field.edit();
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /** All facts of a photo, asked for once. Throws the API's error. */
  async factsFor(id) {
    if (!this.cache.has(id)) {
      const asked = this.fetchPhoto(id);
      this.cache.set(id, asked);
      asked.catch(() => this.cache.delete(id));
      if (this.cache.size > 50) this.cache.delete(this.cache.keys().next().value);
    }
    return this.cache.get(id);
  }

  /** What was known of this photo is not true any more. */
  forget(id) {
    this.cache.delete(id);
    if (this.wanted === id) void this.show(id);
  }

  show(id) {
    this.shown = this.showFacts(id);
    return this.shown;
  }

  async showFacts(id) {
    if (this.wanted !== id) {
      this.leave();
      // The viewer keeps a click from taking the focus out of the field; the next photo's keys are not its.
      if (this.element.contains(document.activeElement)) this.element.focus();
    }
    this.wanted = id;
    if (!this.isOpen) return;
    if (!this.element.childElementCount) this.element.append(Object.assign(document.createElement("p"), { textContent: "Loading…" }));
    let photo;
    try {
      photo = await this.factsFor(id);
    } catch (error) {
      if (this.wanted === id) this.fill("This photo", [["Problem", error.message]]);
      return;
    }
    if (this.wanted === id) this.fill(photo.filename ?? "This photo", factsOf(photo, this.libraries), photo);
  }

  /** A link to the page that moves dates by hours, or takes a date back. */
  dateLink(photo) {
    const link = Object.assign(document.createElement("a"), { textContent: "More about its date" });
    link.href = `/dates/?photo=${photo.id}`;
    link.className = "button is-plain";
    return link;
  }

  /** `photo` is what may be changed, for those who may. */
  fill(title, facts, photo = null) {
    const heading = document.createElement("h2");
    heading.textContent = title;
    const list = document.createElement("dl");
    for (const [name, words, href] of facts) {
      const row = document.createElement("div");
      row.append(Object.assign(document.createElement("dt"), { textContent: name }));
      const told = Object.assign(document.createElement("dd"), { textContent: words });
      if (href) told.replaceChildren(Object.assign(document.createElement("a"), { href, textContent: words, target: "_blank", rel: "noopener noreferrer", title: "Show it on OpenStreetMap (names of places: GeoNames)" }));
      row.append(told);
      if (name === "Problem") row.className = "is-problem";
      list.append(row);
    }
    if (!photo?.can_edit) {
      this.element.replaceChildren(heading, list);
      return;
    }
    // The fields stay in their place while they are typed in: moved, they would lose the focus.
    const fields = Object.values(this.fields);
    const elements = fields.map((field) => field.element);
    for (const other of [...this.element.children]) if (!elements.includes(other)) other.remove();
    if (!elements[0].isConnected) this.element.append(...elements);
    elements[0].before(heading);
    elements.at(-1).after(list, this.dateLink(photo));
    for (const field of fields) field.show(photo);
  }
}
