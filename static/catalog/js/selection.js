/** Photos that a person has selected, the bar that says how many, and what can be done with all of them at once. */

import { post } from "photolala/api";
import { countPhotos, starsText } from "photolala/dates";
import { downloadPhotos, exportPhotos } from "photolala/dialogs";
import { announce, showToast } from "photolala/toast";

const LONG_PRESS_MS = 450;
const MOVED_PX = 10;
const PER_REQUEST = 1_000;
const MOVED_PER_REQUEST = 200; // files are moved while the request waits
export const MOST = 10_000;

/** The ids that are selected. Dispatches "change". */
export class Selection extends EventTarget {
  constructor() {
    super();
    this.ids = new Set();
    this.anchor = null; // the number of the photo from which a range begins
  }

  get size() {
    return this.ids.size;
  }

  has(id) {
    return this.ids.has(id);
  }

  /** Select `id`, or put it back. `number` is its place in the whole timeline. */
  toggle(id, number) {
    if (!this.ids.delete(id)) {
      if (this.ids.size >= MOST) return this.refuse();
      this.ids.add(id);
    }
    this.anchor = number;
    this.tell();
    return true;
  }

  /** Select all of these. */
  add(ids, number) {
    for (const id of ids) {
      if (this.ids.size >= MOST) {
        this.refuse();
        break;
      }
      this.ids.add(id);
    }
    this.anchor = number;
    this.tell();
  }

  remove(ids) {
    for (const id of ids) this.ids.delete(id);
    this.tell();
  }

  clear() {
    this.ids.clear();
    this.anchor = null;
    this.tell();
  }

  refuse() {
    showToast(`Up to ${countPhotos(MOST)} can be selected at once.`, { kind: "selection" });
    return false;
  }

  tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/** The ids of the photos with the numbers from `first` to `last`, loaded if need be. */
export async function idsBetween(model, first, last) {
  const [from, to] = [Math.min(first, last), Math.min(Math.max(first, last), Math.min(first, last) + MOST - 1)];
  const ids = [];
  for (let number = from; number <= to; ) {
    const { section, index } = model.locate(number);
    const wanted = model.sections[section];
    if (!wanted) break;
    const photos = await model.photosOf(wanted);
    const taken = photos.id.slice(index, index + (to - number + 1));
    if (!taken.length) break;
    ids.push(...taken);
    number += taken.length;
  }
  return ids;
}

/** Hears clicks, keys and long presses on the timeline's tiles, and shows the bar. */
export class SelectionControl {
  constructor(timeline, favourites, selection, root) {
    Object.assign(this, { timeline, favourites, selection, root });
    this.press = null;
    this.bar = document.getElementById("selection-bar");
    this.dialog = document.getElementById("trash-dialog");
    selection.addEventListener("change", () => this.show());
    root.addEventListener("click", (event) => this.onClick(event), { capture: true });
    root.addEventListener("keydown", (event) => this.onKey(event), { capture: true });
    root.addEventListener("pointerdown", (event) => this.onPointer(event));
    for (const name of ["pointerup", "pointercancel", "pointermove"]) root.addEventListener(name, (event) => this.endPress(event));
    root.addEventListener("contextmenu", (event) => this.press?.isDone && event.preventDefault());
    addEventListener("keydown", (event) => this.onEscape(event));
    this.bar.addEventListener("click", (event) => this.onBar(event));
    this.dialog.addEventListener("close", () => this.dialog.returnValue === "yes" && void this.trash());
    this.showRights();
    addEventListener("keydown", (event) => this.onSelectAll(event));
  }

  numberOf(tile) {
    return this.timeline.model.numberOf(this.timeline.model.sections.indexOf(tile.section), tile.index);
  }

  onClick(event) {
    const head = event.target.closest(".bucket-check, .bucket-dates");
    if (head) {
      const { month } = head.closest(".bucket");
      void (head.matches(".bucket-check") ? this.toggleMonth(month) : this.dateMonth(month));
      return;
    }
    const tile = event.target.closest(".tile")?.tile;
    if (!tile || event.button !== 0) return;
    const isCheck = event.target.closest(".tile-check");
    const isLink = event.target.closest(".tile-link");
    const isOurs = isCheck || (isLink && (this.selection.size > 0 || event.shiftKey || event.ctrlKey || event.metaKey));
    if (this.press?.isDone) this.stop(event);
    else if (isOurs) {
      this.stop(event);
      if (event.shiftKey && this.selection.anchor !== null) void this.extendTo(tile);
      else this.selection.toggle(tile.id, this.numberOf(tile));
    }
    this.press = null;
  }

  stop(event) {
    event.preventDefault();
    event.stopPropagation();
  }

  async extendTo(tile) {
    const number = this.numberOf(tile);
    try {
      this.selection.add(await idsBetween(this.timeline.model, this.selection.anchor, number), number);
    } catch (error) {
      showToast(`The photos in between could not be loaded. ${error.message}`, { kind: "trouble" });
    }
  }

  /** Select all photos of a month, or, if they all are, none of them. Returns whether they could be loaded. */
  async toggleMonth({ first: section, count }, isAdded = false) {
    const { model } = this.timeline;
    try {
      const first = model.numberOf(section, 0);
      const ids = await idsBetween(model, first, first + count - 1);
      if (!isAdded && ids.every((id) => this.selection.has(id))) this.selection.remove(ids);
      else this.selection.add(ids, first);
      return true;
    } catch (error) {
      showToast(`The photos could not be selected. ${error.message}`, { kind: "trouble" });
      return false;
    }
  }

  /** Go to the page of dates with all photos of a month. */
  async dateMonth(month) {
    this.selection.clear();
    if (!(await this.toggleMonth(month, true))) return;
    if (this.timeline.model.editableOf(this.selection.ids).length) this.bar.querySelector('[data-act="dates"]').click();
    else showToast("These photos are in libraries that you may only see.", { kind: "selection" });
  }

  /** Ctrl A: all photos of the page, as many as can be selected at once. */
  onSelectAll(event) {
    const { model } = this.timeline;
    const isOurs = event.key === "a" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (!isOurs || !model.count || event.target.closest("input, textarea, select") || document.querySelector("dialog[open], .pswp")) return;
    event.preventDefault();
    idsBetween(model, 0, model.count - 1).then((ids) => {
      this.selection.add(ids, 0);
      if (model.count > ids.length) this.selection.refuse();
    }, (error) => showToast(`The photos could not be selected. ${error.message}`, { kind: "trouble" }));
  }

  onKey(event) {
    const tile = event.target.closest(".tile")?.tile;
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") {
      this.stop(event);
      if (event.shiftKey && this.selection.anchor !== null) void this.extendTo(tile);
      else this.selection.toggle(tile.id, this.numberOf(tile));
    } else if (event.key === "m") {
      this.stop(event);
      void this.toggleMonth(tile.section.month);
    } else if (this.selection.size && (event.key === "f" || /^[0-5]$/.test(event.key))) {
      this.stop(event);
      void this.rate(event.key === "f" ? 5 : Number(event.key));
    } else if (this.selection.size && event.key === "Delete") {
      this.stop(event);
      this.ask();
    } else if (this.selection.size && event.key === "a") {
      this.stop(event);
      this.collect();
    } else if (this.selection.size && event.key === "d") {
      this.stop(event);
      void downloadPhotos([...this.selection.ids]);
    }
  }

  /** Ask which album they go to. */
  collect() {
    this.root.dispatchEvent(new CustomEvent("selection:collect", { detail: { ids: [...this.selection.ids] } }));
  }

  /** Ask which destination they are copied to; a Live Photo goes with its video. */
  export() {
    const ids = [...this.selection.ids];
    void exportPhotos([...new Set([...ids, ...this.timeline.model.pairsOf(ids)])].slice(0, MOST));
  }

  onEscape(event) {
    if (event.key === "Escape" && this.selection.size && !document.querySelector("dialog[open], .pswp")) this.selection.clear();
  }

  /** A finger that rests on a photo selects it. */
  onPointer(event) {
    const tile = event.target.closest(".tile")?.tile;
    if (!tile || event.pointerType === "mouse") return;
    const press = { x: event.clientX, y: event.clientY, isDone: false };
    press.timer = setTimeout(() => {
      press.isDone = true;
      this.selection.toggle(tile.id, this.numberOf(tile));
      navigator.vibrate?.(10);
    }, LONG_PRESS_MS);
    this.press = press;
  }

  endPress(event) {
    if (!this.press || this.press.isDone) return;
    const { x, y, timer } = this.press;
    if (event.type === "pointermove" && Math.hypot(event.clientX - x, event.clientY - y) < MOVED_PX) return;
    clearTimeout(timer);
    this.press = null;
  }

  /** Offer only what one may do with some of those that are selected. */
  showRights() {
    const { canEdit, canTrash } = this.root.dataset;
    const isEditable = canEdit === "true" && this.timeline.model.editableOf(this.selection.ids).length > 0;
    this.bar.querySelector('[data-act="trash"]').hidden = !(isEditable && canTrash === "true");
    for (const one of this.bar.querySelectorAll("[data-needs-edit]")) one.hidden = !isEditable;
  }

  show() {
    const { size } = this.selection;
    this.showRights();
    this.root.classList.toggle("is-selecting", size > 0);
    this.bar.hidden = size === 0;
    const words = `${countPhotos(size)} selected`;
    this.bar.querySelector("[data-count]").textContent = words;
    if (size) announce(words);
    this.timeline.showSelection();
  }

  onBar(event) {
    const button = event.target.closest("[data-act]");
    if (!button) return;
    const act = button.dataset.act;
    if (act === "clear") this.selection.clear();
    else if (act === "rate") void this.rate(Number(button.value));
    else if (act === "trash") this.ask();
    else if (act === "album") this.collect();
    else if (act === "download") void downloadPhotos([...this.selection.ids]);
    else if (act === "export") void this.export();
    else if (["dates", "keywords", "places"].includes(act)) this.bar.querySelector("[name=photos]").value = this.timeline.model.editableOf(this.selection.ids).join(",");
  }

  /** Give all of them so many stars; the toast leads back. */
  async rate(stars) {
    const ids = [...this.selection.ids];
    const before = this.starsNow(ids);
    let failed = [];
    try {
      failed = await this.rateAll(ids, stars);
    } catch (error) {
      showToast(`Not all stars were saved. ${error.message}`, { kind: "star", action: { label: "Try again", run: () => this.rate(stars) } });
      return;
    }
    const done = ids.length - failed.length;
    const words = `${starsText(stars)} for ${countPhotos(done)}.${failed.length ? ` ${failed[0].error} (${failed.length})` : ""}`;
    const action = before && done ? { label: "Undo", run: () => void this.rateAsBefore(before) } : null;
    showToast(words, { kind: "star", action });
  }

  /** Give those with these ids so many stars; return the answer's errors. */
  async rateAll(ids, stars) {
    const failed = [];
    for (let start = 0; start < ids.length; start += PER_REQUEST) {
      const part = ids.slice(start, start + PER_REQUEST);
      const { errors } = await post("/photos/bulk-favorite/", { photo_ids: part, rating: stars });
      failed.push(...errors);
      const refused = new Set(errors.map((one) => one.photo_id));
      for (const id of part) if (!refused.has(id)) this.favourites.note(id, stars);
    }
    return failed;
  }

  /** A Map from stars to the ids that have so many; null where not all are known, as the page keeps so many photos only. */
  starsNow(ids) {
    const loaded = this.timeline.model.starsOf(new Set(ids));
    if (ids.some((id) => !loaded.has(id))) return null;
    return Map.groupBy(ids, (id) => this.favourites.starsOf(id, loaded.get(id)));
  }

  async rateAsBefore(before) {
    try {
      for (const [stars, ids] of before) await this.rateAll(ids, stars);
      showToast("The stars are as they were.", { kind: "star" });
    } catch (error) {
      const action = { label: "Try again", run: () => void this.rateAsBefore(before) };
      showToast(`Not all stars were changed back. ${error.message}`, { kind: "star", action });
    }
  }

  get canTrash() {
    return this.root.dataset.canTrash === "true";
  }

  /** Ask whether those with these ids, as far as one may change them, are to go to the trash; and move them, if so. */
  ask(wanted = this.selection.ids) {
    const ids = this.timeline.model.editableOf(wanted);
    if (!this.canTrash || !ids.length) return;
    this.asked = ids;
    this.dialog.querySelector("[data-count]").textContent = countPhotos(ids.length);
    this.dialog.returnValue = "";
    this.dialog.showModal();
  }

  async trash() {
    const ids = [...this.asked, ...this.timeline.model.pairsOf(this.asked)]; // a Live Photo goes with its video
    const items = [];
    const failed = [];
    try {
      for (let start = 0; start < ids.length; start += MOVED_PER_REQUEST) {
        const part = ids.slice(start, start + MOVED_PER_REQUEST);
        const answer = await post("/photos/trash/", { photo_ids: part, confirm: part.length });
        items.push(...answer.items);
        failed.push(...answer.errors);
        const kept = new Set(answer.errors.map((one) => one.id));
        this.selection.remove(part.filter((id) => !kept.has(id)));
      }
    } catch (error) {
      showToast(`Not all photos were deleted. ${error.message}`, { kind: "trash" });
    }
    if (failed.length) showToast(`${countPhotos(failed.length)} could not be deleted. ${failed[0].error}`, { kind: "trash-failed" });
    if (items.length) {
      const undo = { label: "Undo", run: () => void this.untrash(items) };
      showToast(`${countPhotos(Math.min(items.length, this.asked.length))} moved to the trash.`, { kind: "trash", action: undo });
    }
    this.root.dispatchEvent(new CustomEvent("selection:changed", { detail: { trashed: items.length } }));
  }

  async untrash(items) {
    try {
      for (const library of new Set(items.map((one) => one.library))) {
        const ids = items.filter((one) => one.library === library).map((one) => one.id);
        for (let start = 0; start < ids.length; start += MOVED_PER_REQUEST) {
          await post(`/libraries/${library}/trash/restore/`, { item_ids: ids.slice(start, start + MOVED_PER_REQUEST) });
        }
      }
      showToast(`${countPhotos(items.length)} brought back.`, { kind: "trash" });
    } catch (error) {
      showToast(`Not all photos were brought back. ${error.message}`, { kind: "trash" });
    }
    this.root.dispatchEvent(new CustomEvent("selection:changed"));
  }
}
