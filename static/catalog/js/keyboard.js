/** Arrow keys move the focus from tile to tile, through photos not loaded yet too. */

import { rowBoxes, rowOfIndex } from "photolala/layout";

/** Listens on the timeline's root. `toggleStar(tile)` is called for the key f, `rate(tile, stars)` for 0 to 5. */
export class TileKeyboard {
  constructor(timeline, toggleStar, rate) {
    this.timeline = timeline;
    this.toggleStar = toggleStar;
    this.rate = rate;
    timeline.root.addEventListener("keydown", (event) => void this.onKey(event));
    timeline.root.addEventListener("focusin", (event) => {
      const tile = event.target.closest(".tile")?.tile;
      if (tile) timeline.setTabStop(tile);
    });
  }

  async onKey(event) {
    const tile = event.target.closest(".tile")?.tile;
    if (!tile || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "f") {
      event.preventDefault();
      this.toggleStar(tile);
      return;
    }
    if (/^[0-5]$/.test(event.key)) {
      event.preventDefault();
      this.rate(tile, Number(event.key));
      return;
    }
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last" }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const number = await this.target(tile, move);
    if (number !== null) await this.focus(number);
  }

  /** Focus the photo with this number in the whole timeline. */
  async focus(number) {
    const tile = await this.timeline.reveal(number);
    tile?.link.focus({ preventScroll: true });
  }

  /** The number of the photo to go to; null if there is none that way. */
  async target(tile, move) {
    const { model } = this.timeline;
    const section = model.sections.indexOf(tile.section);
    const number = model.numberOf(section, tile.index);
    if (move === "first") return 0;
    if (move === "last") return model.count - 1;
    if (typeof move === "number") return number + move >= 0 && number + move < model.count ? number + move : null;
    return this.vertical(tile, section, move === "down" ? 1 : -1);
  }

  async vertical(tile, section, step) {
    const { model } = this.timeline;
    const { rows, photos } = tile.section;
    const row = rowOfIndex(rows, tile.index);
    const box = rowBoxes(rows, row, photos.ratio, model.width).find((one) => one.index === tile.index);
    const centre = box.left + box.width / 2;
    if (row + step >= 0 && row + step < rows.tops.length) return this.nearest(section, row + step, centre);
    const other = section + step;
    if (other < 0 || other >= model.sections.length) return null;
    const wanted = model.sections[other];
    await model.photosOf(wanted);
    const now = model.sections.indexOf(wanted);
    return this.nearest(now, step > 0 ? 0 : wanted.rows.tops.length - 1, centre);
  }

  nearest(section, row, centre) {
    const { model } = this.timeline;
    const { rows, photos } = model.sections[section];
    let best = null;
    for (const box of rowBoxes(rows, row, photos.ratio, model.width)) {
      const distance = Math.abs(box.left + box.width / 2 - centre);
      if (!best || distance < best.distance) best = { distance, index: box.index };
    }
    return model.numberOf(section, best.index);
  }
}
