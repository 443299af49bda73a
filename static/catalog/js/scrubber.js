/** The dates at the right edge: years always, a bubble while pointing or dragging; jumps anywhere in the timeline. */

import { lastNotAbove } from "photolala/layout";
import { countPhotos, monthTitle, yearOf } from "photolala/dates";

const LABEL_HEIGHT = 22;

/** A slider over the timeline's months. Calls `onJump(section, fraction)`; is told where one is by `setPosition`. */
export class Scrubber {
  constructor(model, onJump) {
    this.model = model;
    this.onJump = onJump;
    this.months = [];
    this.current = 0;
    this.element = document.createElement("div");
    this.element.className = "scrubber";
    this.element.setAttribute("role", "navigation");
    this.element.setAttribute("aria-label", "Dates");
    this.element.innerHTML = `<div class="scrubber-years" aria-hidden="true"></div><div class="scrubber-thumb" role="slider"
tabindex="0" aria-orientation="vertical" aria-label="Date"></div><div class="scrubber-bubble" aria-hidden="true"></div>`;
    [this.years, this.thumb, this.bubble] = this.element.children;
    document.body.append(this.element);
    this.listen();
    model.addEventListener("buckets", () => this.rebuild());
    new ResizeObserver(() => this.rebuild()).observe(this.element);
  }

  listen() {
    const track = this.element;
    track.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      const year = event.target.closest("[data-section]");
      if (year) return this.onJump(Number(year.dataset.section), 0); // its first photo, wherever on the word one clicks
      track.setPointerCapture(event.pointerId);
      track.classList.add("is-dragging");
      this.follow(event, true);
    });
    track.addEventListener("pointermove", (event) => this.follow(event, track.hasPointerCapture(event.pointerId)));
    for (const name of ["pointerup", "pointercancel"]) {
      track.addEventListener(name, () => track.classList.remove("is-dragging"));
    }
    this.thumb.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Months and years change with the buckets; their place counts photos, so it stays put while heights are corrected. */
  rebuild() {
    const { sections, stack } = this.model;
    this.trackHeight = this.element.clientHeight;
    this.months = [];
    for (let i = 0; i < sections.length; i++) {
      const title = sections[i].key.slice(0, 7);
      if (this.months.at(-1)?.month !== title) this.months.push({ month: title, section: i, first: stack.firsts[i] });
    }
    this.firsts = Float64Array.from(this.months, (month) => month.first);
    this.element.hidden = this.months.length < 2;
    this.thumb.setAttribute("aria-valuemin", "0");
    this.thumb.setAttribute("aria-valuemax", String(Math.max(0, this.months.length - 1)));
    this.drawYears();
    this.setPosition(this.current);
  }

  drawYears() {
    const labels = [];
    let year = "";
    let free = -Infinity;
    for (const month of this.months) {
      if (yearOf(month.month) === year) continue;
      year = yearOf(month.month);
      const top = this.model.count ? (month.first / this.model.count) * this.trackHeight : 0;
      const label = document.createElement("span");
      label.style.top = `${top}px`;
      if (top >= free && top <= this.trackHeight - LABEL_HEIGHT / 2) {
        label.textContent = year;
        label.dataset.section = month.section;
        free = top + LABEL_HEIGHT;
      }
      labels.push(label);
    }
    this.years.replaceChildren(...labels);
  }

  /** One is at this number of photos from the start. */
  setPosition(photosAbove) {
    this.current = photosAbove;
    this.element.classList.toggle("is-at-top", photosAbove <= 0);
    if (this.months.length === 0) return;
    const index = lastNotAbove(this.firsts, photosAbove);
    this.thumb.style.transform = `translateY(${(photosAbove / this.model.count) * this.trackHeight}px)`;
    if (index === this.shownMonth && this.thumb.hasAttribute("aria-valuetext")) return;
    this.shownMonth = index;
    this.thumb.setAttribute("aria-valuenow", String(index));
    this.thumb.setAttribute("aria-valuetext", monthTitle(this.months[index].month));
  }

  /** While one scrolls fast, say where one is. */
  showMonth() {
    if (this.months.length === 0 || this.element.classList.contains("is-dragging")) return;
    const top = (this.current / this.model.count) * this.trackHeight;
    this.bubble.textContent = monthTitle(this.months[lastNotAbove(this.firsts, this.current)].month);
    this.bubble.style.top = `${Math.min(this.trackHeight - 16, Math.max(16, top))}px`;
    this.element.classList.add("is-flinging");
  }

  hideMonth() {
    this.element.classList.remove("is-flinging");
  }

  follow(event, isDragging) {
    if (this.months.length === 0) return;
    const box = this.element.getBoundingClientRect();
    const share = Math.min(0.999999, Math.max(0, (event.clientY - box.top) / box.height));
    const { section, index } = this.model.stack.locate(Math.floor(share * this.model.count));
    const month = this.months[lastNotAbove(this.firsts, share * this.model.count)];
    const end = this.firsts[this.months.indexOf(month) + 1] ?? this.model.count;
    this.bubble.textContent = `${monthTitle(month.month)} · ${countPhotos(end - month.first)}`;
    this.bubble.style.top = `${Math.min(box.height - 16, Math.max(16, event.clientY - box.top))}px`;
    if (isDragging) this.onJump(section, index / Math.max(1, this.model.sections[section].count));
  }

  onKey(event) {
    const here = this.shownMonth ?? 0;
    const last = this.months.length - 1;
    const year = yearOf(this.months[here].month);
    const targets = {
      ArrowDown: here + 1, ArrowRight: here + 1, ArrowUp: here - 1, ArrowLeft: here - 1, Home: 0, End: last,
      PageDown: this.months.findIndex((month, i) => i > here && yearOf(month.month) !== year),
      PageUp: this.months.findLastIndex((month, i) => i < here && yearOf(month.month) !== year),
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    event.stopPropagation();
    let target = targets[event.key];
    if (target < 0) target = event.key === "PageDown" ? last : 0;
    this.onJump(this.months[Math.min(last, target)].section, 0);
  }
}
