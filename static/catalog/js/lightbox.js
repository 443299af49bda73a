/** An open photo: slides through the whole timeline, has its own address, tells what it knows, gives stars. */

import PhotoSwipe from "photoswipe";

import { errorOf, fetchPhoto, urls } from "photolala/api";
import { formatNumber, starsText, takenTitle } from "photolala/dates";
import { Originals, playOver, Videos } from "photolala/moving";
import { InfoPanel } from "photolala/panel";
import { Slideshow } from "photolala/slideshow";
import { StarRow } from "photolala/stars";
import { announce } from "photolala/toast";

const PREVIEW_EDGE = 1600;
const MOST_TRIES = 5;
const PANEL_WIDTH = 340;
const PANEL_BESIDE_FROM = 900;
const ICONS = {
  star: "m12 3.6 2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8L3.6 9.7l5.8-.8z",
  info: "M12 11v6M12 7.4v.2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  live: "M12 8.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16z",
  play: "M8 5.500v13l10.500-6.500z",
  trash: "M5 7h14M10 7V5h4v2m-7 0 1 12h8l1-12M10 10.5v5.5m4-5.5v5.5",
  download: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 19.5h14",
  collect: "M4 6.5h11v13H4zM8 3.500h12v13M9.5 10v6m-3-3h6",
};

function icon(name) {
  return `<svg class="photo-icon" viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
}

/** Width and height of a preview of this shape. */
function previewSize(ratio) {
  return ratio >= 1
    ? { width: PREVIEW_EDGE, height: Math.round(PREVIEW_EDGE / ratio) }
    : { width: Math.round(PREVIEW_EDGE * ratio), height: PREVIEW_EDGE };
}

/** Give a slide the size of its picture, if that is known and another one; return whether it was. */
function takeOwnSize(slide) {
  const { content } = slide;
  const { naturalWidth, naturalHeight } = content.element ?? {};
  if (!naturalWidth || Math.abs(naturalWidth - slide.width) <= 2) return false;
  for (const one of [slide, content]) [one.width, one.height] = [naturalWidth, naturalHeight];
  return true;
}

/**
 * One opened lightbox. `photos` is where the slides come from: `count`, `at(number)` -> `{id, ratio, isVideo, stars,
 * takenText, problem, canStar, canDownload, canEdit}` or null while unknown, `load(number)` -> a promise, `thumbnailElement(number)`; its `urls` and
 * `fetchPhoto`, if it has them, say where the files and facts are (an album serves its own).
 * `libraries` maps ids to names. Dispatches "show" (`detail`: number, id), "closed" and, with `canTrash`, "trash" (`detail`: id);
 * with `canCollect`, "collect" (`detail`: id); "download" (`detail`: id) of a Live Photo.
 */
export class Lightbox extends EventTarget {
  constructor(photos, favourites, libraries, { canTrash = false, canCollect = false } = {}) {
    super();
    Object.assign(this, { canTrash, canCollect, photos, favourites });
    this.urls = photos.urls ?? urls;
    this.panel = new InfoPanel(libraries, photos.fetchPhoto ?? fetchPhoto, (photo) => this.onEdited(photo));
    this.dated = new Map(); // what the list of photos does not know yet: new dates, in words, by photo
    this.tries = new Map();
    this.videos = new Videos(this.urls);
    this.onStar = () => this.showStar();
    this.onSaved = ({ detail }) => this.panel.forget(detail.id);
    this.onLeave = () => this.panel.leave(true);
  }

  open(number) {
    this.pswp = new PhotoSwipe({
      index: number,
      loop: false,
      preload: [1, 2],
      bgOpacity: 1,
      showHideAnimationType: matchMedia("(prefers-reduced-motion: reduce)").matches ? "none" : "zoom",
      showAnimationDuration: 180,
      hideAnimationDuration: 180,
      returnFocus: false,
      wheelToZoom: false,
      closeTitle: "Close (Escape)",
      zoomTitle: "Zoom (z)",
      arrowPrevTitle: "Previous",
      arrowNextTitle: "Next",
      errorMsg: "",
      mainClass: "photo-view",
      getViewportSizeFn: () => this.viewportSize(),
    });
    this.addSlides();
    this.addControls();
    this.addEvents();
    this.pswp.init();
  }

  get number() {
    return this.pswp.currIndex;
  }

  get current() {
    return this.photos.at(this.number);
  }

  get takenText() {
    return this.dated.get(this.current.id) ?? this.current.takenText;
  }

  starsOf(photo) {
    return this.favourites.starsOf(photo.id, photo.stars);
  }

  /** A photo's caption or date was changed in the panel. */
  onEdited(photo) {
    this.dated.set(photo.id, takenTitle(photo.taken_local));
    if (this.current?.id === photo.id) this.title.textContent = this.takenText;
  }

  get canStar() {
    return Boolean(this.current) && this.current.canStar !== false;
  }

  close() {
    this.pswp.close();
  }

  viewportSize() {
    const beside = this.panel.isOpen && innerWidth >= PANEL_BESIDE_FROM ? PANEL_WIDTH : 0;
    return { x: document.documentElement.clientWidth - beside, y: innerHeight };
  }

  addSlides() {
    const { pswp } = this;
    pswp.addFilter("numItems", () => this.photos.count);
    pswp.addFilter("itemData", (data, number) => this.itemData(number));
    pswp.addFilter("thumbEl", (element, data, number) => this.photos.thumbnailElement(number));
    pswp.addFilter("placeholderSrc", (source, content) => content.data.msrc ?? false);
    pswp.addFilter("useContentPlaceholder", (isUsed, content) => isUsed || Boolean(content.data.msrc));
    pswp.addFilter("contentErrorElement", (element, content) => this.explain(content));
    pswp.on("contentLoad", (event) => this.loadContent(event));
    pswp.on("contentDeactivate", ({ content }) => content.element?.querySelector?.("video")?.pause());
    pswp.on("loadComplete", ({ slide }) => this.correctSize(slide));
    pswp.on("slideInit", ({ slide }) => takeOwnSize(slide)); // its picture may have come before it was a slide
    new Originals(pswp, (id) => this.urls.original(id));
    this.slideshow = new Slideshow(pswp, (isOn) => this.playButton?.setAttribute("aria-pressed", String(isOn)));
    pswp.on("pointerDown", (event) => {
      if (event.originalEvent.target.closest("video, .photo-panel, .photo-reason")) event.preventDefault();
    });
  }

  itemData(number) {
    const photo = this.photos.at(number);
    if (!photo) {
      void this.photos.load(number).then(() => this.pswp.isOpen && this.photos.at(number) && this.refresh(number));
      return { type: "pending", width: 1, height: 1 };
    }
    if (photo.problem) return { type: "reason", id: photo.id, reason: photo.problem };
    const size = previewSize(photo.ratio || 1.5);
    const mediaType = photo.canDownload === false ? "" : photo.mediaType;
    const data = { id: photo.id, mediaType, alt: photo.takenText, msrc: photo.hasThumbnail ? this.urls.thumbnail(photo.id, photo.version) : undefined, ...size };
    return photo.isVideo && photo.canDownload !== false ? { ...data, type: "video" } : { ...data, type: "image", src: this.urls.preview(photo.id, photo.version) };
  }

  refresh(number) {
    this.pswp.refreshSlideContent(number);
    if (number === this.number) this.onChange();
  }

  loadContent(event) {
    const { content } = event;
    const { type } = content.data;
    if (type === "image") return;
    event.preventDefault();
    content.element = document.createElement("div");
    content.element.className = `photo-${type}`;
    if (type === "video") content.element.append(this.videos.of(content));
    else content.element.textContent = type === "reason" ? content.data.reason : "Loading…";
    content.onLoaded();
  }

  /** Small photos are smaller than previews usually are: show them in their own size, not blown up. */
  correctSize(slide) {
    if (!takeOwnSize(slide)) return;
    slide.calculateSize();
    slide.zoomAndPanToInitial();
    slide.applyCurrentZoomPan();
    slide.updateContentSize(true);
  }

  /** The preview did not come: say why, in the server's words. */
  explain(content) {
    const element = document.createElement("div");
    element.className = "photo-reason";
    element.textContent = "The picture could not be shown.";
    fetch(content.data.src, { credentials: "same-origin" }).then(async (response) => {
      if (response.ok) {
        element.textContent = "The picture came only in part. Open it again to try once more.";
        return;
      }
      const error = await errorOf(response);
      element.textContent = error.message;
      if (error.status === 503) this.askAgain(content, error.retryAfterSeconds);
    }, () => (element.textContent = "The server cannot be reached."));
    return element;
  }

  /** The server was busy: ask again by itself, a few times. */
  askAgain(content, afterSeconds) {
    const tries = (this.tries.get(content.data.id) ?? 0) + 1;
    this.tries.set(content.data.id, tries);
    if (tries > MOST_TRIES) return;
    setTimeout(() => {
      if (this.pswp.isOpen && !this.pswp.isDestroying) this.pswp.refreshSlideContent(content.index);
    }, 1000 * Math.max(1, afterSeconds));
  }

  addControls() {
    this.pswp.on("uiRegister", () => {
      const add = (name, order, title, options) => this.pswp.ui.registerElement({
        name, order, title, ariaLabel: title, isButton: true, html: icon(name), ...options,
      });
      add("star", 7, "Star (f)", { onInit: (element) => (this.starButton = element), onClick: () => this.toggleStar() });
      add("live", 6, "Play the Live Photo (l)", { onInit: (element) => (this.liveButton = element), onClick: () => this.playLive() });
      add("play", 7, "Slideshow (s)", {
        onInit: (element) => {
          this.playButton = element;
          element.setAttribute("aria-pressed", "false");
        },
        onClick: () => this.slideshow.toggle(),
      });
      add("info", 8, "About this photo (i)", {
        onInit: (element) => {
          this.infoButton = element;
          element.setAttribute("aria-expanded", "false");
        },
        onClick: () => this.togglePanel(),
      });
      add("download", 9, "Download the original (d)", {
        tagName: "a",
        onInit: (element) => {
          this.downloadLink = element;
          element.setAttribute("download", "");
        },
        onClick: (event) => {
          const { id, pair } = this.current;
          if (!pair || pair === id) return;
          event.preventDefault(); // a Live Photo is two files
          this.dispatchEvent(new CustomEvent("download", { detail: { id } }));
        },
      });
      if (this.canCollect) add("collect", 9, "Add to an album (a)", { onClick: () => this.collect() });
      if (this.canTrash) add("trash", 10, "Move to the trash (Delete)", { onInit: (element) => (this.trashButton = element), onClick: () => this.askToTrash() });
      this.pswp.ui.registerElement({
        name: "stars", appendTo: "root", className: "photo-stars pswp__hide-on-close",
        onInit: (element) => (this.starRow = new StarRow(element, (stars) => this.rate(stars))),
      });
      this.pswp.ui.registerElement({
        name: "taken", order: 6, appendTo: "bar", onInit: (element) => (this.title = element),
      });
    });
  }

  addEvents() {
    const { pswp } = this;
    pswp.on("change", () => this.onChange());
    pswp.on("afterInit", () => {
      pswp.element.append(this.panel.element);
      pswp.element.setAttribute("aria-label", "Photo");
    });
    pswp.on("keydown", (event) => this.onKey(event));
    this.favourites.addEventListener("change", this.onStar);
    this.favourites.addEventListener("saved", this.onSaved);
    addEventListener("pagehide", this.onLeave);
    pswp.on("destroy", () => {
      this.favourites.removeEventListener("change", this.onStar);
      this.favourites.removeEventListener("saved", this.onSaved);
      removeEventListener("pagehide", this.onLeave);
      this.panel.leave();
      this.dispatchEvent(new CustomEvent("closed", { detail: { number: this.number } }));
    });
  }

  onKey(event) {
    const { key, ctrlKey, metaKey, altKey } = event.originalEvent;
    if (document.querySelector("dialog[open]")) event.preventDefault(); // its keys are its own: Escape closes it, not the photo
    if (ctrlKey || metaKey || altKey || event.defaultPrevented) return;
    const actions = { Delete: () => this.askToTrash(), a: () => this.collect(), f: () => this.toggleStar(), i: () => this.togglePanel(), s: () => this.slideshow.toggle(), l: () => this.playLive(), c: () => this.edit("caption"), t: () => this.edit("date"), k: () => this.edit("keywords"), p: () => this.edit("place"), d: () => this.downloadLink.hidden || this.downloadLink.click() };
    for (let stars = 0; stars <= 5; stars++) actions[stars] = () => this.rate(stars);
    if (key === "?" || !(key in actions)) return;
    event.preventDefault();
    event.originalEvent.preventDefault();
    actions[key]();
  }

  onChange() {
    const photo = this.current;
    this.title.textContent = photo ? this.takenText : "";
    this.showStar();
    if (!photo) return;
    this.downloadLink.href = this.urls.original(photo.id);
    this.downloadLink.hidden = photo.canDownload === false;
    this.liveButton.hidden = !photo.pair;
    this.starButton.hidden = photo.canStar === false;
    if (this.trashButton) this.trashButton.hidden = !photo.canEdit;
    void this.panel.show(photo.id);
    const kind = photo.isVideo ? "Video" : "Photo";
    const stars = this.starsOf(photo);
    const words = stars ? `, ${starsText(stars)}` : "";
    announce(`${kind} ${formatNumber(this.number + 1)} of ${formatNumber(this.photos.count)}, ${this.takenText}${words}`);
    this.dispatchEvent(new CustomEvent("show", { detail: { number: this.number, id: photo.id } }));
  }

  showStar() {
    const photo = this.current;
    const stars = photo ? this.starsOf(photo) : 0;
    const isSet = stars > 0;
    this.starRow.show(stars, this.canStar);
    this.starButton.classList.toggle("is-favourite", isSet);
    this.starButton.setAttribute("aria-pressed", String(isSet));
  }

  askToTrash() {
    if (this.canTrash && this.current?.canEdit) this.dispatchEvent(new CustomEvent("trash", { detail: { id: this.current.id } }));
  }

  collect() {
    if (this.canCollect && this.current) this.dispatchEvent(new CustomEvent("collect", { detail: { id: this.current.id } }));
  }

  toggleStar() {
    if (this.canStar) void this.favourites.toggle(this.current.id, this.current.stars);
  }

  rate(stars) {
    if (this.canStar) void this.favourites.rate(this.current.id, stars, this.current.stars);
  }

  /** Play the short video of a Live Photo over its picture. */
  playLive() {
    const { container, content } = this.pswp.currSlide;
    if (!this.current?.pair || container.querySelector(".live-video")) return;
    const { width, height } = content.element.style;
    Object.assign(playOver(container, this.current, this.urls, { isMuted: false }).style, { width, height });
  }

  /** Open the panel, and a field in it. */
  edit(field) {
    if (!this.panel.isOpen) this.togglePanel();
    void this.panel.edit(field);
  }

  togglePanel() {
    if (this.panel.isOpen) this.panel.leave();
    this.panel.element.hidden = this.panel.isOpen;
    this.infoButton.setAttribute("aria-expanded", String(this.panel.isOpen));
    this.pswp.element.classList.toggle("has-panel", this.panel.isOpen);
    if (this.current) void this.panel.show(this.current.id);
    this.pswp.updateSize(true);
  }
}
