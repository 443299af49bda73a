/** An album's page: rows of photos and notes, an opened photo with its own address, arranging. */

import { AlbumOrder } from "photolala/album_order";
import { get } from "photolala/api";
import { takenTitle } from "photolala/dates";
import { Favourites } from "photolala/favourite";
import { showToast } from "photolala/toast";

const NO_ID = "00000000-0000-0000-0000-000000000000";
const NOTE_RATIO = 1.2;

/** The photos of the page as the lightbox wants them; further ones are loaded as one comes near. */
class AlbumSlides {
  constructor(list, count) {
    const base = `/api/v1/albums/${list.dataset.album}/photos`;
    Object.assign(this, { list, count });
    this.urls = {
      thumbnail: (id, version) => `${base}/${id}/thumbnail/${version ? `?v=${version}` : ""}`,
      preview: (id, version) => `${base}/${id}/preview/${version ? `?v=${version}` : ""}`,
      original: (id) => `${base}/${id}/original/`,
    };
    this.fetchPhoto = (id) => get(`/albums/${list.dataset.album}/photos/${id}/`);
  }

  get items() {
    return this.list.querySelectorAll(".album-item[data-photo]");
  }

  numberOf(id) {
    return [...this.items].findIndex((item) => item.dataset.photo === id);
  }

  at(number) {
    const item = this.items[number];
    if (!item) return null;
    const { photo, version, ratio, taken, thumbnail, video, own } = item.dataset;
    return {
      id: photo, version, ratio: Number(ratio) || 1.5, isVideo: Boolean(video), stars: 0, hasThumbnail: Boolean(thumbnail),
      takenText: takenTitle(taken), problem: "", canStar: Boolean(own), canDownload: Boolean(own || this.list.dataset.originals),
    };
  }

  /** Wait until the page has the photo with this number. */
  async load(number) {
    while (!this.items[number]) {
      const more = this.list.querySelector(".album-more");
      if (!more || !window.htmx) return;
      await new Promise((resolve) => {
        this.list.addEventListener("htmx:afterSettle", resolve, { once: true });
        this.list.addEventListener("htmx:responseError", resolve, { once: true });
        window.htmx.trigger(more, "revealed");
      });
    }
  }

  thumbnailElement(number) {
    return this.items[number]?.querySelector("img") ?? undefined;
  }
}

class AlbumPage {
  constructor(list) {
    this.list = list;
    this.title = document.title;
    this.slides = new AlbumSlides(list, Number(document.querySelector("[data-photo-count]").dataset.photoCount));
    this.favourites = new Favourites();
    this.lightbox = null;
    const button = document.querySelector("[data-arrange]");
    this.order = button ? new AlbumOrder(list, button) : null;
    list.addEventListener("click", (event) => this.onClick(event));
    document.addEventListener("htmx:afterSettle", () => this.layOut());
    addEventListener("popstate", () => this.onAddress());
    this.layOut();
    list.classList.add("is-justified");
    if (list.dataset.opened) void this.openId(list.dataset.opened);
  }

  /** Give each item its share of its row: set here, for the page may have no styles of its own in its HTML. */
  layOut() {
    for (const item of this.list.querySelectorAll(".album-item:not([data-laid])")) {
      const ratio = item.dataset.photo ? Math.min(4, Math.max(0.4, Number(item.dataset.ratio) || 1.4)) : NOTE_RATIO;
      item.style.setProperty("--ratio", ratio);
      item.style.setProperty("--grow", Math.round(ratio * 100));
      if (item.dataset.placeholder) item.style.backgroundColor = item.dataset.placeholder;
      item.dataset.laid = "1";
    }
  }

  hrefOf(id) {
    return this.list.dataset.photoUrl.replace(NO_ID, id);
  }

  onClick(event) {
    const item = event.target.closest(".album-photo")?.closest(".album-item");
    if (!item || this.order?.isOn || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    void this.open(this.slides.numberOf(item.dataset.photo), true);
  }

  async openId(id) {
    let number = this.slides.numberOf(id);
    for (let seen = -1; number < 0 && this.slides.items.length > seen; number = this.slides.numberOf(id)) {
      seen = this.slides.items.length;
      await this.slides.load(seen);
    }
    if (number >= 0) await this.open(number, false);
  }

  async open(number, isNewEntry) {
    if (this.lightbox) return;
    const { Lightbox } = await import("photolala/lightbox").catch((error) => {
      showToast("The photo could not be opened: a part of the page did not load. Reload it to try again.", { kind: "trouble" });
      throw error;
    });
    if (this.lightbox) return;
    this.lightbox = new Lightbox(this.slides, this.favourites, {});
    this.isOwnEntry = isNewEntry;
    if (isNewEntry) history.pushState({ isPhoto: true }, "", this.hrefOf(this.slides.at(number).id));
    this.lightbox.addEventListener("show", ({ detail }) => {
      if (location.pathname !== this.hrefOf(detail.id)) history.replaceState({ isPhoto: true }, "", this.hrefOf(detail.id));
      document.title = `${this.slides.at(detail.number).takenText} · Photolala`;
    });
    this.lightbox.addEventListener("closed", ({ detail }) => this.onClosed(detail.number));
    this.lightbox.open(number);
  }

  onClosed(number) {
    this.lightbox = null;
    document.title = this.title;
    if (history.state?.isPhoto && this.isOwnEntry) history.back();
    else if (location.pathname !== this.list.dataset.homeUrl) history.replaceState({}, "", this.list.dataset.homeUrl);
    this.slides.items[number]?.querySelector("a").focus({ preventScroll: false });
  }

  onAddress() {
    if (this.lightbox && !history.state?.isPhoto) this.lightbox.close();
    else if (!this.lightbox && history.state?.isPhoto) void this.openId(location.pathname.split("/").filter(Boolean).at(-1));
  }
}

const list = document.getElementById("album");
if (list) new AlbumPage(list);
