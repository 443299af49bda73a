/** What the timeline draws: months under their sticky heads, and in them buckets, with those of their tiles that are near the viewport. */

import { bucketTitle, countPhotos, UNDATED } from "photolala/dates";
import { rowAt, rowBoxes } from "photolala/layout";
import { Tile } from "photolala/tiles";

const CHECK = `<svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="9"/><path d="m7.5 12.5 3 3 6-6.500"/></svg>`;

/** A month: its head stays in view as long as any of it does. `context` has `selection` and `canEdit`. */
export class MonthView {
  constructor({ key }, context) {
    this.context = context;
    this.key = key;
    const title = bucketTitle(key);
    this.element = document.createElement("section");
    this.element.className = "bucket";
    this.element.setAttribute("aria-label", title);
    this.head = document.createElement("h2");
    this.head.className = "bucket-head";
    this.figures = document.createElement("span");
    this.check = document.createElement("button");
    Object.assign(this.check, { type: "button", className: "bucket-check", tabIndex: -1, innerHTML: CHECK });
    this.check.setAttribute("role", "checkbox");
    this.check.setAttribute("aria-checked", "false"); // until its photos are loaded
    this.check.setAttribute("aria-label", `Select all of ${title}`);
    this.head.append(title, this.figures, this.check);
    if (key === UNDATED && context.canEdit) this.head.append(this.datesButton());
    this.element.append(this.head);
  }

  /** To the page that gives dates: these photos have none, or only the time of their file. */
  datesButton() {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "bucket-dates", textContent: "Date them", title: "They have no date of their own, or only the time of their file" });
    return button;
  }

  /** Put it at `top` of the grid. */
  update(month, top, height) {
    this.element.month = month;
    if (top !== this.top) this.element.style.top = `${(this.top = top)}px`;
    if (height !== this.height) this.element.style.height = `${(this.height = height)}px`;
    if (this.shownCount !== month.count) this.figures.textContent = ` · ${countPhotos((this.shownCount = month.count))}`;
  }

  /** Check the head if all photos of the month, which are in `sections`, are selected. */
  showSelection(sections) {
    const { selection } = this.context;
    const isAll = selection.size > 0 && sections.every(({ photos }) => photos?.id.length && photos.id.every((id) => selection.has(id)));
    this.check.setAttribute("aria-checked", String(isAll));
  }
}

/** Draws a section of the model within its month. `context` has `favourites`, `selection`, `hrefOf(id)` and `queue`. */
export class SectionView {
  constructor(section, context) {
    this.section = section;
    this.context = context;
    this.tiles = new Map();
    this.drawn = "";
    this.element = document.createElement("div");
    this.element.className = "bucket-rows";
  }

  /**
   * Put its rows at `top` of its month, and draw those between `from` and `to` (heights within the rows), first those from
   * `seen.from` to `seen.to`. Returns false if `pace` left no time for all of them.
   */
  update(top, width, from, to, seen, pace) {
    const { rows, photos, rowsHeight } = this.section;
    if (top !== this.top) this.element.style.top = `${(this.top = top)}px`;
    if (rowsHeight !== this.height) this.element.style.height = `${(this.height = rowsHeight)}px`;
    this.element.classList.toggle("is-waiting", !photos);
    if (!photos || rows.tops.length === 0) {
      if (this.tiles.size) this.cull(new Set());
      return true;
    }
    const first = rowAt(rows, from);
    const last = rowAt(rows, to);
    const drawn = `${this.section.version} ${first} ${last}`;
    if (drawn === this.drawn) return true;
    const isWhole = this.drawRows(first, last, rowAt(rows, seen.from), rowAt(rows, seen.to), width, pace);
    this.drawn = isWhole ? drawn : "";
    return isWhole;
  }

  drawRows(first, last, firstSeen, lastSeen, width, pace) {
    const kept = new Set();
    let isWhole = true;
    const draw = (row, isSeen) => {
      const isDrawn = this.tiles.has(this.section.photos.id[this.section.rows.starts[row]]);
      if (isDrawn || pace.hasTime(isSeen)) this.drawRow(row, width, kept);
      else isWhole = false;
    };
    for (let row = firstSeen; row <= lastSeen; row++) draw(row, true);
    for (let row = first; row < firstSeen; row++) draw(row, false);
    for (let row = lastSeen + 1; row <= last; row++) draw(row, false);
    this.cull(kept);
    return isWhole;
  }

  drawRow(row, width, kept) {
    const { rows, photos } = this.section;
    for (const box of rowBoxes(rows, row, photos.ratio, width)) {
      const id = photos.id[box.index];
      kept.add(id);
      let tile = this.tiles.get(id);
      if (!tile) {
        tile = new Tile();
        this.tiles.set(id, tile);
        tile.section = this.section;
      }
      if (tile.photos !== photos) {
        tile.photos = photos;
        tile.show(photos, box.index, this.context.hrefOf(id), this.context.favourites.starsOf(id, photos.stars[box.index]));
      }
      tile.index = box.index;
      tile.setSelected(this.context.selection.has(id));
      tile.place(box.left, rows.tops[row], box.width, rows.heights[row]);
      if (!tile.element.isConnected) this.element.append(tile.element);
    }
  }

  /** Remove all tiles but these and the one that has the keyboard's focus. */
  cull(kept) {
    for (const [id, tile] of this.tiles) {
      if (kept.has(id) || (tile.element.contains(document.activeElement) && this.isThere(id))) continue;
      this.context.queue.remove(tile);
      tile.element.remove();
      this.tiles.delete(id);
    }
  }

  /** False for a photo that is known to be gone. */
  isThere(id) {
    return !this.section.photos || this.section.photos.id.includes(id);
  }

  /** Leave the page. */
  remove() {
    for (const tile of this.tiles.values()) this.context.queue.remove(tile);
    this.element.remove();
  }
}
