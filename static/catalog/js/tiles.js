/** One photo on the timeline: its placeholder colour, its thumbnail when near, its star and badges. */

import { urls } from "photolala/api";
import { durationText, starsText, takenTitle } from "photolala/dates";

const LOADING_AT_ONCE = 10;
const MOST_TRIES = 4; // a busy server says "not now"
const RETRY_MS = 1_500;
const template = document.createElement("template");
template.innerHTML = `<div class="tile"><a class="tile-link" tabindex="-1"></a><span class="tile-badges"></span>
<button class="tile-star" type="button" tabindex="-1"><svg viewBox="0 0 24 24" aria-hidden="true"><path
d="m12 3.6 2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8L3.6 9.7l5.8-.8z"/></svg></button><button class="tile-check" type="button" tabindex="-1" role="checkbox" aria-checked="false"
aria-label="Select"><svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="9"/><path d="m7.5 12.5 3 3 6-6.500"/></svg></button></div>`;

/** A tile in the page. Reads its photo from the arrays of a bucket. */
export class Tile {
  constructor() {
    this.element = template.content.firstElementChild.cloneNode(true);
    [this.link, this.badges, this.star, this.check] = this.element.children;
    this.element.tile = this;
    this.image = null;
    this.state = "idle"; // idle, loading, done, failed
    this.tries = 0;
    this.box = "";
  }

  /** Show the photo at `index` of `photos`, whose page is `href`. */
  show(photos, index, href, stars) {
    this.id = photos.id[index];
    if (this.version !== undefined && this.version !== photos.version[index] && this.state !== "idle") {
      this.abort();
      this.state = "idle"; // the file has changed: the old picture stays until the new one is there
    }
    this.version = photos.version[index];
    this.link.href = href;
    this.element.style.backgroundColor = photos.placeholder[index] || "";
    this.stars = null;
    const isVideo = photos.media_type[index]?.startsWith("video/");
    const words = isVideo ? ["Video"] : ["Photo"];
    const badges = [];
    if (isVideo) badges.push(photos.duration[index] ? durationText(photos.duration[index]) : "Video");
    this.pair = photos.pair[index];
    if (this.pair) badges.push("Live");
    if (photos.state[index] === "damaged") badges.push("Damaged");
    if (photos.state[index] === "remote") badges.push("On the phone");
    words.push(takenTitle(photos.taken_local[index]), ...badges);
    this.label = words.join(", ");
    this.badges.replaceChildren(...badges.map((words) => Object.assign(document.createElement("span"), { textContent: words })));
    this.hasThumbnail = photos.thumbnail[index];
    this.setStars(stars);
  }

  setStars(stars) {
    if (this.stars === stars) return;
    this.stars = stars;
    this.element.classList.toggle("is-favourite", stars > 0);
    this.star.dataset.stars = stars;
    this.star.setAttribute("aria-pressed", String(stars > 0));
    this.star.setAttribute("aria-label", stars ? "Remove the star" : "Add a star");
    this.link.setAttribute("aria-label", stars ? `${this.label}, starred (${starsText(stars)})` : this.label);
  }

  setSelected(selected) {
    if (this.selected === selected) return;
    this.selected = selected;
    this.element.classList.toggle("is-selected", selected);
    this.check.setAttribute("aria-checked", String(selected));
  }

  /** Put it at its place within its section. */
  place(left, top, width, height) {
    const box = `${left} ${top} ${width} ${height}`;
    if (box === this.box) return;
    this.box = box;
    this.top = top;
    const { style } = this.element;
    style.left = `${left}px`;
    style.top = `${top}px`;
    style.width = `${width}px`;
    style.height = `${height}px`;
  }

  startLoading(done) {
    this.state = "loading";
    const image = new Image();
    image.alt = "";
    image.className = "tile-image";
    image.decoding = "async";
    image.draggable = false;
    this.image = image;
    image.addEventListener("load", () => {
      this.state = "done";
      this.link.replaceChildren(image);
      requestAnimationFrame(() => image.classList.add("is-shown"));
      done();
    });
    image.addEventListener("error", () => {
      if (this.image !== image) return;
      this.state = "failed";
      this.tries++;
      done();
    });
    image.src = urls.thumbnail(this.id, this.version);
  }

  /** Stop loading if it has not come yet. */
  abort() {
    if (this.state !== "loading") return false;
    const { image } = this;
    this.state = "idle";
    this.image = null;
    image.src = "";
    return true;
  }
}

/** Loads thumbnails, nearest first, a few at a time; what is scrolled past is not loaded. */
export class ThumbnailQueue {
  constructor() {
    this.loading = new Set();
    this.waiting = [];
  }

  /** These tiles, nearest first, are wanted now, and no others. */
  want(tiles) {
    const wanted = new Set(tiles);
    for (const tile of this.loading) {
      if (!wanted.has(tile) && tile.abort()) this.loading.delete(tile);
    }
    this.waiting = tiles.filter((tile) => tile.state === "idle");
    this.next();
  }

  /** The tile leaves the page. */
  remove(tile) {
    tile.abort();
    this.loading.delete(tile);
  }

  next() {
    while (this.loading.size < LOADING_AT_ONCE && this.waiting.length > 0) {
      const tile = this.waiting.shift();
      if (tile.state !== "idle" || !tile.element.isConnected) continue;
      this.loading.add(tile);
      tile.startLoading(() => {
        if (tile.state === "failed" && tile.tries < MOST_TRIES) setTimeout(() => this.retry(tile), RETRY_MS * tile.tries);
        if (this.loading.delete(tile)) this.next();
      });
    }
  }

  retry(tile) {
    if (tile.state !== "failed" || !tile.element.isConnected) return;
    tile.state = "idle";
    this.waiting.push(tile);
    this.next();
  }
}
