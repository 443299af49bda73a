/** An album's page: rows of photos and notes, an opened photo with its own address, arranging, selecting. */

import { AlbumOrder, showCount } from "photolala/album_order";
import { get, post } from "photolala/api";
import { countPhotos, takenTitle } from "photolala/dates";
import { AlbumDialog, downloadPhotos, exportPhotos } from "photolala/dialogs";
import { Favourites } from "photolala/favourite";
import { announce, showToast } from "photolala/toast";

const NO_ID = "00000000-0000-0000-0000-000000000000";
const NOTE_RATIO = 1.2;

/** The photos of the page as the lightbox wants them; further ones are loaded as one comes near. */
class AlbumSlides {
  constructor(list) {
    const base = `/api/v1/albums/${list.dataset.album}/photos`;
    this.list = list;
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

  /** How many there are: those of the page once it has all, for some may be taken out or come meanwhile. */
  get count() {
    return this.list.querySelector(".album-more") ? showCount(0) : this.items.length;
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

  /** Wait until the page has the photo with this number, or cannot get it. */
  async load(number) {
    while (!this.items[number]) {
      const more = this.list.querySelector(".album-more");
      if (!more || !window.htmx) return;
      const isThere = await new Promise((resolve) => {
        this.list.addEventListener("htmx:afterSettle", () => resolve(true), { once: true });
        for (const trouble of ["responseError", "sendError"]) this.list.addEventListener(`htmx:${trouble}`, () => resolve(false), { once: true });
        window.htmx.trigger(more, "revealed");
      });
      if (!isThere) return;
    }
  }

  thumbnailElement(number) {
    return this.items[number]?.querySelector("img") ?? undefined;
  }
}

/** Photos that are selected, and what can be done with all of them at once. `button` turns selecting on and off; while it is on, a click selects a photo instead of opening it. */
class AlbumSelection {
  constructor(list, button) {
    Object.assign(this, { list, button, isOn: false, anchor: null });
    this.bar = document.getElementById("selection-bar");
    this.albums = new AlbumDialog();
    this.albums.dialog.addEventListener("added", () => this.turn(false));
    button.addEventListener("click", () => this.turn(!this.isOn));
    this.bar.addEventListener("click", ({ target }) => this.act(target.closest("[data-act]")?.dataset.act));
    addEventListener("keydown", (event) => event.key === "Escape" && this.isOn && !document.querySelector("dialog[open]") && this.turn(false));
  }

  get items() {
    return [...this.list.querySelectorAll(".is-selected")];
  }

  turn(isOn) {
    this.isOn = isOn;
    this.button.setAttribute("aria-pressed", String(isOn));
    this.button.textContent = isOn ? "Done" : "Select";
    if (this.bar.contains(document.activeElement)) this.button.focus();
    if (!isOn) for (const item of this.items) this.mark(item, false);
    this.show();
  }

  mark(item, isSelected) {
    item.classList.toggle("is-selected", isSelected);
    item.querySelector("a").setAttribute("aria-current", String(isSelected));
  }

  /** Select the item, or put it back; with `isRange` all from the last one to this. */
  toggle(item, isRange) {
    const all = [...this.list.querySelectorAll("[data-photo]")];
    if (isRange && this.anchor?.isConnected) {
      const [from, to] = [all.indexOf(this.anchor), all.indexOf(item)].sort((a, b) => a - b);
      for (const one of all.slice(from, to + 1)) this.mark(one, true);
    } else this.mark(item, !item.matches(".is-selected"));
    this.anchor = item;
    this.show();
  }

  /** Offer only what one may do with all that is selected. */
  show() {
    const { items } = this;
    const isOwn = items.every((item) => item.dataset.own);
    this.bar.hidden = !items.length;
    this.bar.querySelector("[data-count]").textContent = `${countPhotos(items.length)} selected`;
    for (const one of this.bar.querySelectorAll("[data-needs-own]")) one.hidden = !isOwn;
    this.bar.querySelector('[data-act="download"]').hidden = !isOwn && !this.list.dataset.originals;
    if (items.length) announce(`${countPhotos(items.length)} selected`);
  }

  act(act) {
    const ids = this.items.map((item) => item.dataset.photo);
    if (act === "clear") this.turn(false);
    else if (act === "download") void downloadPhotos(ids, this.list.dataset.album);
    else if (act === "album") void this.albums.ask(ids);
    else if (act === "export") void exportPhotos(ids);
    else if (act === "remove") void this.remove();
  }

  async change(verb, items) {
    await post(`/albums/${this.list.dataset.album}/items/${verb}/`, { item_ids: items.map((item) => item.dataset.item) });
  }

  /** Take them out of the album; the toast leads back. */
  async remove() {
    const { items } = this;
    try {
      await this.change("remove", items);
    } catch ({ message }) {
      return showToast(`They were not removed. ${message}`, { kind: "order" });
    }
    const places = items.map((item) => Object.assign(document.createElement("li"), { hidden: true, item }));
    this.turn(false);
    items.forEach((item, index) => item.replaceWith(places[index]));
    showCount(-items.length);
    const undo = async () => {
      try {
        await this.change("restore", items);
        for (const place of places) place.replaceWith(place.item);
        showCount(items.length);
      } catch ({ message }) {
        showToast(`They were not brought back. ${message}`, { kind: "order" });
      }
    };
    return showToast(`${countPhotos(items.length)} removed from the album. They stay in their libraries.`, { kind: "order", action: { label: "Undo", run: () => void undo() } });
  }
}

class AlbumPage {
  constructor(list) {
    this.list = list;
    this.title = document.title;
    this.slides = new AlbumSlides(list);
    this.favourites = new Favourites();
    this.lightbox = null;
    const button = document.querySelector("[data-arrange]");
    this.order = button ? new AlbumOrder(list, button) : null;
    this.selection = new AlbumSelection(list, document.querySelector("[data-select]"));
    this.selection.button.addEventListener("click", () => this.order?.isOn && this.order.turn(false));
    button?.addEventListener("click", () => this.selection.isOn && this.selection.turn(false));
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
    if (!item || this.order?.isOn || event.button !== 0) return;
    const isSelecting = event.ctrlKey || event.metaKey || event.shiftKey;
    event.preventDefault();
    if (isSelecting && !this.selection.isOn) this.selection.turn(true);
    if (this.selection.isOn) return this.selection.toggle(item, event.shiftKey);
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
