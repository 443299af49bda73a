/** One bucket on the page: its sticky head and those of its tiles that are near the viewport. */

import { bucketTitle, countPhotos } from "photolala/dates";
import { HEAD_HEIGHT, rowAt, rowBoxes } from "photolala/layout";
import { Tile } from "photolala/tiles";

/** Draws a section of the model. `context` has `favourites`, `selection`, `hrefOf(id)` and `queue`. */
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
  }

  drawHead() {
    const { key, count } = this.section;
    if (this.shownCount === count) return;
    this.shownCount = count;
    const figures = document.createElement("span");
    figures.textContent = ` · ${countPhotos(count)}`;
    this.head.replaceChildren(bucketTitle(key), figures);
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
