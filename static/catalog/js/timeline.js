/** The timeline: scrolls through any number of photos with a bounded page, keeps its place, loads what is near. */

import { HEAD_HEIGHT, rowOfIndex, ScrollMap, TARGET_ROW_HEIGHT, TYPICAL_RATIO } from "photolala/layout";
import { Scrubber } from "photolala/scrubber";
import { MonthView, SectionView } from "photolala/section";
import { ThumbnailQueue } from "photolala/tiles";

const MOST_TILES = 110; // of eleven elements each
const MOST_OVERSCAN_IN_VIEWPORTS = 1.25;
const WANTED_VIEWPORTS_AROUND = 1.5;
const REST_MS = 160;
const LOAD_EVERY_MS = 90;
const FAST_PX_PER_MS = 4;
const AHEAD_MS = 1_500;
const SEEN_MS = 10;
const OTHERS_MS = 4;

/** How long one frame draws new rows: one always, at most SEEN_MS what is in view, and beyond OTHERS_MS nothing else. */
class Pace {
  constructor() {
    this.began = performance.now();
    this.asked = 0;
  }

  hasTime(isSeen) {
    return !this.asked++ || performance.now() - this.began < (isSeen ? SEEN_MS : OTHERS_MS);
  }
}

const ALL_IN_VIEW = { hasTime: (isSeen) => isSeen };

/** Shows `model` in `root`. `favourites` knows the stars; `hrefOf(id)` is a photo's page. */
export class Timeline {
  constructor(root, model, favourites, selection, hrefOf) {
    this.root = root;
    this.model = model;
    this.queue = new ThumbnailQueue();
    this.context = { favourites, selection, hrefOf, queue: this.queue, canEdit: root.dataset.canEdit === "true" };
    this.map = new ScrollMap();
    this.views = new Map(); // of sections
    this.months = new Map(); // of their months, by key
    this.real = 0;
    this.anchor = null;
    this.velocity = 0;
    this.movedAt = 0;
    this.loadedAt = 0;
    this.frame = 0;
    this.isTouched = false;
    this.isPaused = false; // while the lightbox covers it, the address is the lightbox's
    this.scrubber = new Scrubber(model, (section, fraction) => this.jumpTo(section, fraction));
    this.listen();
  }

  listen() {
    addEventListener("scroll", () => this.onScroll(), { passive: true });
    addEventListener("resize", () => this.onResize());
    addEventListener("touchstart", () => (this.isTouched = true), { passive: true });
    for (const name of ["touchend", "touchcancel"]) {
      addEventListener(name, () => ((this.isTouched = false), this.restSoon()), { passive: true });
    }
    this.model.addEventListener("buckets", () => this.onModelChange());
    this.model.addEventListener("photos", () => this.onModelChange());
    this.context.favourites.addEventListener("change", ({ detail }) => {
      this.tileOf(detail.id)?.setStars(detail.stars);
    });
    const observer = new ResizeObserver(() => this.onResize());
    observer.observe(this.root);
    observer.observe(this.root.parentElement); // what stands above may grow or go
  }

  /** Draw for the first time, at `anchor` (of `placeToKeep`) or at the bucket `key` or at the top. */
  async begin(anchor, key) {
    history.scrollRestoration = "manual";
    this.measure();
    const index = anchor ? this.model.sectionFor(anchor.key) : key ? this.model.sectionFor(key) : -1;
    if (index > 0 || anchor) {
      await this.model.photosOf(this.model.sections[index]).catch((error) => this.report(error));
      const inside = anchor ? this.model.heightOfAnchor(anchor) : this.model.stack.top(index);
      this.place(inside + this.gridTop);
    }
    this.render();
    this.root.classList.add("is-ready");
  }

  report(error) {
    this.model.dispatchEvent(new CustomEvent("trouble", { detail: error }));
  }

  measure() {
    const box = this.root.getBoundingClientRect();
    // What stays at the top covers so much: all places are measured from its lower edge.
    this.stuck = document.querySelector("[data-stuck]")?.offsetHeight ?? 0;
    this.root.style.setProperty("--stuck", `${this.stuck}px`);
    this.above = Math.max(this.stuck, Math.round(box.top + scrollY));
    this.gridTop = this.above - this.stuck;
    this.below = Math.max(0, Math.round(document.documentElement.scrollHeight - (box.bottom + scrollY)));
    this.viewport = innerHeight;
    this.model.setWidth(Math.floor(this.root.clientWidth));
    const perScreen = (this.viewport / TARGET_ROW_HEIGHT) * (this.model.width / (TARGET_ROW_HEIGHT * TYPICAL_RATIO));
    const screens = Math.min(MOST_OVERSCAN_IN_VIEWPORTS, Math.max(0.1, (MOST_TILES / (1.4 * perScreen) - 1) / 2));
    this.overscan = screens * this.viewport;
    this.fit();
  }

  /** Make the page as high as the photos, up to what browsers can. */
  fit() {
    this.map.resize(this.above + this.model.stack.height + this.below, this.viewport);
    const height = Math.max(0, this.map.physicalHeight - this.above - this.below);
    if (height !== this.gridHeight) this.root.style.height = `${(this.gridHeight = height)}px`;
  }

  onScroll() {
    const scroll = scrollY;
    if (scroll < 0 || scroll === this.map.last) return;
    const before = this.real;
    this.real = this.map.moved(scroll);
    const now = performance.now();
    this.velocity = (this.real - before) / Math.max(1, now - this.movedAt);
    if (Math.abs(this.velocity) > FAST_PX_PER_MS) this.scrubber.showMonth();
    this.movedAt = now;
    if (this.map.isStrained(scroll)) this.place(this.real);
    this.renderSoon();
    this.restSoon();
  }

  onResize() {
    if (this.root.clientWidth === 0 || this.gridTop === undefined) return;
    const { anchor } = this;
    this.measure();
    this.restore(anchor);
    this.render();
    this.restSoon();
  }

  onModelChange() {
    if (this.gridTop === undefined) return;
    const { anchor } = this;
    this.fit();
    this.restore(anchor);
    this.renderSoon();
    this.restSoon();
  }

  /** Keep what was at the viewport's top there, though heights above it have changed. */
  restore(anchor) {
    const isAtTop = this.real <= this.gridTop + 1;
    if (anchor && !isAtTop) this.real = this.map.clamp(this.model.heightOfAnchor(anchor) + this.gridTop);
    this.map.place(this.real, scrollY);
    if (this.map.isStrained(scrollY)) this.place(this.real);
  }

  /** Go to a real position, and bring the scrollbar into proportion. Draws nothing. */
  place(real) {
    this.real = this.map.clamp(real);
    scrollTo({ top: Math.round(this.map.proportional(this.real)), behavior: "instant" });
    this.map.place(this.real, scrollY);
    this.anchor = this.anchorHere();
  }

  anchorHere() {
    const y = this.real - this.gridTop;
    return y > 0 ? this.model.anchorAt(y) : null;
  }

  /** What to hand to `begin` to come back to where one is. */
  placeToKeep() {
    return this.anchorHere();
  }

  /** The bucket at the top of the viewport; "" at the very top. */
  keyHere() {
    const y = this.real - this.gridTop;
    return y > HEAD_HEIGHT && this.model.sections.length ? this.model.sections[this.model.stack.at(y + 1)].key : "";
  }

  /** Show the section from `fraction` of it on. */
  jumpTo(section, fraction = 0) {
    const { stack, sections } = this.model;
    const room = Math.max(0, stack.heights[section] - sections[section].head);
    this.velocity = FAST_PX_PER_MS + 1;
    this.place(section === 0 && fraction === 0 ? 0 : this.gridTop + stack.top(section) + fraction * room);
    this.movedAt = performance.now();
    this.renderSoon();
    this.restSoon();
  }

  renderSoon() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.render());
  }

  restSoon() {
    clearTimeout(this.restTimer);
    this.restTimer = setTimeout(() => this.rest(), REST_MS);
  }

  /** Scrolling has come to rest: load what is shown, mend the scrollbar's proportion, note the place. */
  rest() {
    this.velocity = 0;
    if (this.isTouched) return;
    this.scrubber.hideMonth();
    const target = Math.round(this.map.proportional(this.real));
    if (Math.abs(target - this.map.last) > 1) this.place(this.real);
    this.render();
    this.dispatchRest();
  }

  dispatchRest() {
    if (!this.isPaused) this.root.dispatchEvent(new CustomEvent("timeline:rest"));
  }

  render(pace = new Pace()) {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { model, views } = this;
    const y = this.real - this.gridTop;
    const shown = new Set();
    const months = new Set();
    let isWhole = true;
    if (model.sections.length) {
      const from = model.stack.at(Math.max(0, y - this.overscan));
      const to = model.stack.at(y + this.viewport + this.overscan);
      const middle = Math.min(to, model.stack.at(Math.max(0, y)));
      const draw = (i) => {
        const section = model.sections[i];
        shown.add(section);
        months.add(section.month.key);
        isWhole = this.draw(i, y, pace) && isWhole;
      };
      for (let i = middle; i <= to; i++) draw(i); // what is in view first
      for (let i = middle - 1; i >= from; i--) draw(i);
    }
    for (const [section, view] of views) {
      if (shown.has(section) || (view.element.contains(document.activeElement) && model.byKey.has(section.key))) continue;
      view.remove();
      views.delete(section);
    }
    for (const [key, view] of this.months) {
      if (months.has(key) || view.element.childElementCount > 1) continue;
      view.element.remove();
      this.months.delete(key);
    }
    if (!model.sections.length) return;
    this.anchor = this.anchorHere();
    this.loadNear(y);
    this.scrubber.setPosition(this.photosAbove(y));
    this.keepTabStop(y);
    if (!isWhole) this.renderSoon();
  }

  /** Draw the section with this number; returns false if there was no time for all of it. */
  draw(i, y, pace) {
    const { stack, sections, width } = this.model;
    const section = sections[i];
    const { month } = section;
    let monthView = this.months.get(month.key);
    if (!monthView) {
      monthView = new MonthView(month, this.context);
      this.months.set(month.key, monthView);
      this.root.append(monthView.element);
    }
    let view = this.views.get(section);
    if (!view) {
      view = new SectionView(section, this.context);
      this.views.set(section, view);
    }
    if (view.element.parentElement !== monthView.element) monthView.element.append(view.element);
    const top = stack.top(month.first);
    const isNew = monthView.element.month !== month;
    monthView.update(month, top - this.map.base, stack.top(month.last + 1) - top);
    const inside = y - stack.top(i) - section.head;
    const seen = { from: inside, to: inside + this.viewport };
    const drawn = view.drawn;
    const isWhole = view.update(stack.top(i) - top + section.head, width, seen.from - this.overscan, seen.to + this.overscan, seen, pace);
    if (isNew || view.drawn !== drawn) monthView.showSelection(this.sectionsOf(month));
    return isWhole;
  }

  sectionsOf({ first, last }) {
    return this.model.sections.slice(first, last + 1);
  }

  photosAbove(y) {
    const { stack, sections } = this.model;
    const i = stack.at(Math.max(0, y));
    const fraction = Math.min(1, Math.max(0, (y - stack.top(i)) / stack.heights[i]));
    return stack.firsts[i] + fraction * sections[i].count;
  }

  loadNear(y) {
    const now = performance.now();
    if (this.velocity !== 0 && now - this.loadedAt < LOAD_EVERY_MS) return;
    this.loadedAt = now;
    const isFast = Math.abs(this.velocity) > FAST_PX_PER_MS && now - this.movedAt < REST_MS;
    const { stack } = this.model;
    if (isFast) {
      // Their colours are there when one comes to them; their pictures would be scrolled past before they come.
      const isUp = this.velocity < 0;
      const begin = isUp ? y + this.viewport : y;
      this.model.want(stack.at(Math.max(0, begin)), stack.at(Math.max(0, (isUp ? y : y + this.viewport) + this.velocity * AHEAD_MS)), { isFast });
      return;
    }
    const reach = WANTED_VIEWPORTS_AROUND * this.viewport;
    this.model.want(stack.at(Math.max(0, y - reach)), stack.at(y + this.viewport + reach));
    const middle = y + this.viewport / 2;
    const near = [];
    for (const [section, view] of this.views) {
      if (!section.rows || !this.model.byKey.has(section.key)) continue;
      const top = this.months.get(section.month.key).top + view.top + this.map.base;
      for (const tile of view.tiles.values()) {
        if (tile.hasThumbnail) near.push({ tile, distance: Math.abs(top + tile.top + TARGET_ROW_HEIGHT / 2 - middle) });
      }
    }
    near.sort((a, b) => a.distance - b.distance);
    this.queue.want(near.map((one) => one.tile));
  }

  /** Exactly one tile takes part in the order of the tabulator key: the one used last, else the first in view. */
  keepTabStop(y) {
    if (this.tabStop?.element.isConnected) return;
    for (const [section, view] of this.views) {
      const top = this.model.stack.top(this.model.sections.indexOf(section)) + section.head;
      for (const tile of view.tiles.values()) {
        if (top + tile.top < y - TARGET_ROW_HEIGHT / 2) continue;
        this.setTabStop(tile);
        return;
      }
    }
  }

  setTabStop(tile) {
    if (this.tabStop) this.tabStop.link.tabIndex = -1;
    tile.link.tabIndex = 0;
    this.tabStop = tile;
  }

  /** Show on all tiles whether they are selected. */
  showSelection() {
    for (const view of this.views.values()) {
      for (const [id, tile] of view.tiles) tile.setSelected(this.context.selection.has(id));
    }
    for (const view of this.months.values()) view.showSelection(this.sectionsOf(view.element.month));
  }

  /** The tile of a photo, if it is drawn. */
  tileOf(id) {
    for (const view of this.views.values()) {
      const tile = view.tiles.get(id);
      if (tile) return tile;
    }
    return null;
  }

  /** Scroll as little as needed to show the photo with this number. Resolves to its tile; null if it cannot be loaded. */
  async reveal(number, { isCentred = false } = {}) {
    const { model } = this;
    const bounded = Math.min(model.count - 1, Math.max(0, number));
    const { section } = model.locate(bounded);
    const wanted = model.sections[section];
    const photos = await model.photosOf(wanted).catch((error) => (this.report(error), null));
    if (!photos) return null;
    const { rows } = wanted;
    const now = model.sections.indexOf(wanted);
    const index = Math.min(photos.id.length - 1, bounded - model.stack.firsts[now]);
    const row = rowOfIndex(rows, index);
    const top = this.gridTop + model.stack.top(now) + wanted.head + rows.tops[row];
    const highest = top + rows.heights[row] + this.stuck - this.viewport + Math.max(8, this.below);
    const lowest = top - HEAD_HEIGHT - 4;
    if (isCentred && (this.real > lowest || this.real < highest)) {
      this.place(top - (this.viewport - rows.heights[row]) / 2);
    } else if (this.real > lowest) {
      this.place(now === 0 && row === 0 ? 0 : lowest);
    } else if (this.real < highest) {
      this.place(Math.min(highest, lowest));
    }
    this.render(ALL_IN_VIEW);
    this.restSoon();
    return this.tileOf(photos.id[index]);
  }
}
