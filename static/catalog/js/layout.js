/** Where photos lie on a timeline: pure geometry, no DOM, so that it can be tested and reasoned about. Lengths are CSS pixels. */

export const GAP = 4;
export const TARGET_ROW_HEIGHT = 200;
export const HEAD_HEIGHT = 44;
export const MONTH_PADDING = 20;
export const PHONE_COLUMNS = 3;
export const PHONE_WIDTH = 600;
export const TYPICAL_RATIO = 1.4;
const STRAIN_IN_VIEWPORTS = 5;
const ROOM_IN_VIEWPORTS = 20;
const NARROWEST = 0.4;
const WIDEST = 4;

/** The ratio a tile gets: extreme panoramas and strips are cropped, unknown ones take a typical shape. */
export function tileRatio(ratio) {
  return ratio > 0 && Number.isFinite(ratio) ? Math.min(WIDEST, Math.max(NARROWEST, ratio)) : TYPICAL_RATIO;
}

/** True where tiles are squares in columns rather than justified rows. */
export function isPhone(width) {
  return width < PHONE_WIDTH;
}

/** Collects rows into the compact form that the timeline keeps: `starts` has one more entry than there are rows. */
class RowList {
  constructor() {
    this.starts = [0];
    this.tops = [];
    this.heights = [];
    this.height = 0;
  }

  add(end, height) {
    this.tops.push(this.height);
    this.heights.push(height);
    this.starts.push(end);
    this.height += height + GAP;
  }

  /** Return `{starts, tops, heights, height}`; `height` has no gap after the last row. */
  finish() {
    return {
      starts: Int32Array.from(this.starts),
      tops: Float64Array.from(this.tops),
      heights: Float32Array.from(this.heights),
      height: Math.max(0, this.height - GAP),
    };
  }
}

/**
 * Lay photos out in rows that fill `width`, each as near to `target` high as whole photos allow.
 * The last row keeps the target height rather than being stretched.
 */
export function justify(ratios, width, target = TARGET_ROW_HEIGHT) {
  const rows = new RowList();
  let first = 0;
  let sum = 0;
  const fill = (count, total) => (width - GAP * (count - 1)) / total;
  for (let index = 0; index < ratios.length; index++) {
    const ratio = tileRatio(ratios[index]);
    let count = index - first + 1;
    let height = fill(count, sum + ratio);
    if (height <= target && count > 1 && fill(count - 1, sum) - target < target - height) {
      rows.add(index, Math.round(fill(count - 1, sum)));
      first = index;
      sum = 0;
      count = 1;
      height = fill(1, ratio);
    }
    sum += ratio;
    if (height <= target) {
      rows.add(index + 1, Math.max(1, Math.round(height)));
      first = index + 1;
      sum = 0;
    }
  }
  if (first < ratios.length) rows.add(ratios.length, target);
  return rows.finish();
}

/** Lay `count` photos out as squares in `columns`. */
export function squares(count, width, columns = PHONE_COLUMNS) {
  const rows = new RowList();
  const side = (width - GAP * (columns - 1)) / columns;
  for (let end = columns; end < count + columns; end += columns) rows.add(Math.min(end, count), side);
  return rows.finish();
}

/** The layout of one bucket's photos at `width`. */
export function layOut(ratios, width) {
  return isPhone(width) ? squares(ratios.length, width) : justify(ratios, width);
}

/** The boxes `{index, left, width}` of one row: whole pixels, the right edges flush where the row is full. */
export function rowBoxes(rows, row, ratios, width) {
  const start = rows.starts[row];
  const end = rows.starts[row + 1];
  const height = rows.heights[row];
  const boxes = [];
  if (isPhone(width)) {
    for (let index = start; index < end; index++) {
      boxes.push({ index, left: (index - start) * (height + GAP), width: height });
    }
    return boxes;
  }
  let sum = 0;
  for (let index = start; index < end; index++) sum += tileRatio(ratios[index]);
  const room = width - GAP * (end - start - 1);
  const isFull = Math.abs(sum * height - room) <= 2 * sum || sum * height > room;
  const scale = isFull ? room / sum : height;
  let before = 0;
  for (let index = start; index < end; index++) {
    const left = Math.round(before * scale) + GAP * (index - start);
    before += tileRatio(ratios[index]);
    boxes.push({ index, left, width: Math.round(before * scale) + GAP * (index - start) - left });
  }
  return boxes;
}

/** The height the rows of `count` photos will have, judged by their average ratio. */
export function estimateRowsHeight(count, width, averageRatio = TYPICAL_RATIO) {
  if (count === 0) return 0;
  if (isPhone(width)) return squares(count, width).height;
  const rows = Math.max(1, Math.ceil((count * (averageRatio * TARGET_ROW_HEIGHT + GAP)) / (width + GAP)));
  return rows * (TARGET_ROW_HEIGHT + GAP) - GAP;
}

/** The last position in ascending `values` that is not above `wanted`; 0 if all are above. */
export function lastNotAbove(values, wanted, length = values.length) {
  let low = 0;
  let high = length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (values[middle] <= wanted) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The row nearest to `y` below the top of a section's first row. */
export function rowAt(rows, y) {
  return lastNotAbove(rows.tops, y);
}

/** The row of the photo at `index`. */
export function rowOfIndex(rows, index) {
  return lastNotAbove(rows.starts, index, rows.starts.length - 1);
}

/** Sections one below the other. Also counts photos before each. */
export class Stack {
  constructor(counts, heights) {
    this.length = counts.length;
    this.heights = Float64Array.from(heights);
    this.tops = new Float64Array(this.length + 1);
    this.firsts = new Float64Array(this.length + 1);
    for (let i = 0; i < this.length; i++) this.firsts[i + 1] = this.firsts[i] + counts[i];
    for (let i = 0; i < this.length; i++) this.tops[i + 1] = this.tops[i] + this.heights[i];
  }

  /** Height of everything. */
  get height() {
    return this.tops[this.length];
  }

  /** Number of photos in all sections. */
  get count() {
    return this.firsts[this.length];
  }

  top(section) {
    return this.tops[section];
  }

  /** The section at the height `y`. */
  at(y) {
    return lastNotAbove(this.tops, y, this.length);
  }

  /** Section and place in it of the photo with this number in the whole timeline. */
  locate(number) {
    const section = lastNotAbove(this.firsts, number, this.length);
    return { section, index: number - this.firsts[section] };
  }
}

/**
 * Maps the browser's scroll position, whose range is capped, to the timeline's real one.
 *
 * Near where one is, both move 1:1 (`real = scroll + base`), so wheel and touch feel natural; a jump of the scrollbar is
 * taken in proportion. When scrolling rests, `place` brings the two back into proportion without moving anything visible.
 */
export class ScrollMap {
  constructor(cap = 4_000_000) {
    this.cap = cap;
    this.base = 0;
    this.last = 0;
    this.resize(0, 0);
  }

  /** Set the real height of everything and that of the viewport. */
  resize(realHeight, viewport) {
    this.viewport = viewport;
    this.physicalHeight = Math.min(realHeight, this.cap);
    this.realMax = Math.max(0, realHeight - viewport);
    this.scrollMax = Math.max(0, this.physicalHeight - viewport);
  }

  get isCapped() {
    return this.realMax > this.scrollMax;
  }

  clamp(real) {
    return Math.min(this.realMax, Math.max(0, real));
  }

  /**
   * The scroll position that stands for `real`: in proportion, but with as much room towards an end as there really is,
   * so that one strong turn of the wheel never hits the end of the scrollbar early.
   */
  proportional(real) {
    if (!this.isCapped) return this.clamp(real);
    const above = this.clamp(real);
    const below = this.realMax - above;
    const room = ROOM_IN_VIEWPORTS * this.viewport;
    const share = this.scrollMax / this.realMax;
    if (above <= below) return Math.max(above * share, Math.min(above, room));
    return this.scrollMax - Math.max(below * share, Math.min(below, room));
  }

  /** Note that the browser's scroll position is now `scroll` and stands for `real`. */
  place(real, scroll) {
    this.base = real - scroll;
    this.last = scroll;
  }

  /** The browser scrolled to `scroll`: return the real position. */
  moved(scroll) {
    const isJump = this.isCapped && Math.abs(scroll - this.last) > 3 * this.viewport;
    if (isJump) this.base = (scroll * this.realMax) / this.scrollMax - scroll;
    this.last = scroll;
    return this.clamp(scroll + this.base);
  }

  /** True when one would hit an end of the scrollbar before the end of the photos, or the other way round. */
  isStrained(scroll) {
    const real = scroll + this.base;
    const near = STRAIN_IN_VIEWPORTS * this.viewport;
    const below = this.scrollMax - scroll;
    return (
      real < 0 ||
      real > this.realMax ||
      (scroll < near && real > scroll + 1) ||
      (below < near && real < this.realMax - below - 1)
    );
  }
}
