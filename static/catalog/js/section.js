/** One bucket on the page: its sticky head and those of its tiles that are near the viewport. */

import { bucketTitle, countPhotos, UNDATED } from "photolala/dates";
import { HEAD_HEIGHT, rowAt, rowBoxes } from "photolala/layout";
import { Tile } from "photolala/tiles";

const CHECK = `<svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="9"/><path d="m7.5 12.5 3 3 6-6.500"/></svg>`;

/** Draws a section of the model. `context` has `favourites`, `selection`, `hrefOf(id)`, `queue` and `canEdit`. */
export class SectionView {
  constructor(section, context) {
    this.section = section;
    this.context = context;
    this.tiles = new Map();
    this.drawn = "";
    this.element = document.createElement("section");
    this.element.className = "bucket";
    this.head = document.createElement("h2");
    this.head.className = "bucket-head";
    this.check = document.createElement("button");
    Object.assign(this.check, { type: "button", className: "bucket-check", tabIndex: -1, innerHTML: CHECK });
    this.check.setAttribute("role", "checkbox");
    this.check.setAttribute("aria-checked", "false"); // until its photos are loaded
    this.check.setAttribute("aria-label", `Select all of ${bucketTitle(section.key)}`);
    this.element.section = section;
    this.body = document.createElement("div");
    this.body.className = "bucket-rows";
    this.element.append(this.head, this.body);
    this.element.setAttribute("aria-label", bucketTitle(section.key));
  }

  /** Put it at `top` of the grid; draw its rows between `from` and `to` (heights within the section). */
  update(top, height, width, from, to) {
    if (top !== this.top) this.element.style.top = `${(this.top = top)}px`;
    if (height !== this.height) this.element.style.height = `${(this.height = height)}px`;
    this.drawHead();
    this.body.classList.toggle("is-waiting", !this.section.photos);
    const { rows, photos } = this.section;
    if (!photos || rows.tops.length === 0) {
      if (this.tiles.size) this.cull(new Set());
      return;
    }
    const first = rowAt(rows, from - HEAD_HEIGHT);
    const last = rowAt(rows, to - HEAD_HEIGHT);
    const drawn = `${this.section.version} ${first} ${last}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.drawRows(first, last, width);
    this.showSelection();
  }

  drawHead() {
    const { key, count } = this.section;
    if (this.shownCount === count) return;
    this.shownCount = count;
    const figures = document.createElement("span");
    figures.textContent = ` · ${countPhotos(count)}`;
    this.head.replaceChildren(bucketTitle(key), figures, this.check);
    if (key === UNDATED && this.context.canEdit) this.head.append(this.datesButton());
  }

  /** To the page that gives dates: these photos have none, or only the time of their file. */
  datesButton() {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "bucket-dates", textContent: "Date them", title: "They have no date of their own, or only the time of their file" });
    return button;
  }

  /** Check the head if all photos of the section are selected. */
  showSelection() {
    const { photos } = this.section;
    const { selection } = this.context;
    const isAll = selection.size > 0 && Boolean(photos?.id.length) && photos.id.every((id) => selection.has(id));
    this.check.setAttribute("aria-checked", String(isAll));
  }

  drawRows(first, last, width) {
    const { rows, photos } = this.section;
    const kept = new Set();
    for (let row = first; row <= last; row++) {
      for (const box of rowBoxes(rows, row, photos.ratio, width)) {
        const id = photos.id[box.index];
        kept.add(id);
        let tile = this.tiles.get(id);
        if (!tile) {
          tile = new Tile();
          this.tiles.set(id, tile);
          tile.section = this.section;
          this.body.append(tile.element);
        }
        if (tile.photos !== photos) {
          tile.photos = photos;
          tile.show(photos, box.index, this.context.hrefOf(id), this.context.favourites.starsOf(id, photos.stars[box.index]));
        }
        tile.index = box.index;
        tile.setSelected(this.context.selection.has(id));
        tile.place(box.left, rows.tops[row], box.width, rows.heights[row]);
      }
    }
    this.cull(kept);
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
