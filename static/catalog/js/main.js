/** Puts the timeline's page together: model, view, stars, keys, the open photo and the address. */

import * as api from "photolala/api";
import { takenTitle } from "photolala/dates";
import { AlbumDialog, downloadPhotos } from "photolala/dialogs";
import { Favourites } from "photolala/favourite";
import { TileKeyboard } from "photolala/keyboard";
import { LibraryWatch } from "photolala/live";
import { TimelineModel } from "photolala/model";
import { HoverPlayer } from "photolala/moving";
import { Selection, SelectionControl } from "photolala/selection";
import { SingleSlide, TimelineSlides } from "photolala/slides";
import { Timeline } from "photolala/timeline";
import { showToast } from "photolala/toast";

const LISTS = /^\/(duplicates(\/similar)?|writes|dates|photos|libraries\/[^/]+\/(folders|problems|trash))\/$/;
const WARM_UP_MS = 1_500;
const NO_ID = "00000000-0000-0000-0000-000000000000";

/** What the history keeps of an open photo. */
function stateOf(photo) {
  return { isPhoto: true, id: photo.id, day: photo.day };
}

class TimelinePage {
  constructor(root) {
    this.root = root;
    this.filters = JSON.parse(root.dataset.filters);
    this.homeUrl = root.dataset.homeUrl;
    this.title = document.title;
    const query = new URLSearchParams(this.filters).toString();
    this.hrefOf = (id) => root.dataset.photoUrl.replace(NO_ID, id) + (query ? `?${query}` : "");
    this.favourites = new Favourites();
    this.model = new TimelineModel({
      fetchBuckets: (signal) => api.fetchBuckets(this.filters, signal),
      fetchPhotos: (keys, signal) => api.fetchPhotos(this.filters, keys, signal),
    });
    this.selection = new Selection();
    this.timeline = new Timeline(root, this.model, this.favourites, this.selection, this.hrefOf);
    this.control = new SelectionControl(this.timeline, this.favourites, this.selection, root);
    this.albums = new AlbumDialog();
    this.keyboard = new TileKeyboard(this.timeline, (tile) => this.toggleStar(tile), (tile, stars) => this.rate(tile, stars));
    this.hoverPlayer = new HoverPlayer(root, api.urls);
    this.lightbox = null;
    this.mustRefresh = false;
    this.savedSeen = 0;
    this.listen();
  }

  listen() {
    this.root.addEventListener("click", (event) => this.onClick(event));
    this.root.addEventListener("selection:collect", ({ detail }) => void this.albums.ask(detail.ids));
    this.albums.dialog.addEventListener("added", () => this.selection.clear());
    this.root.addEventListener("selection:changed", ({ detail }) => void this.onMoved(detail));
    this.root.addEventListener("timeline:rest", () => this.notePlace());
    this.model.addEventListener("trouble", ({ detail }) => this.onTrouble(detail));
    this.model.addEventListener("accepted", ({ detail }) => {
      for (const { photos, askedAt } of detail) this.favourites.trustServer(photos.id, askedAt);
    });
    addEventListener("popstate", () => this.onAddress());
  }

  async start() {
    try {
      await this.model.start();
    } catch (error) {
      this.root.classList.add("is-ready");
      this.onTrouble(error, () => location.reload());
      return;
    }
    this.showWhetherEmpty();
    const opened = JSON.parse(this.root.dataset.photo || "null");
    const place = history.state?.place;
    const hash = decodeURIComponent(location.hash.slice(1));
    const anchor = this.model.count && place && !opened ? place : null;
    await this.timeline.begin(anchor, this.model.count ? (opened?.bucket ?? hash) : "");
    if (opened) await this.openLinked(opened);
    this.watch = new LibraryWatch((changed) => this.onChanged(changed));
    // Ready when the first photo is opened, but not in the way of the first screen.
    setTimeout(() => this.warmUp(), WARM_UP_MS);
  }

  async warmUp() {
    try {
      await import("photolala/lightbox");
    } catch {
      // Opening a photo loads it again, and says so if that fails too.
    }
  }

  showWhetherEmpty() {
    document.getElementById("timeline-empty").hidden = this.model.count > 0;
    this.root.hidden = this.model.count === 0;
  }

  onTrouble(error, retry = () => this.timeline.rest()) {
    if (error.status === 401 || error.status === 403) {
      showToast(error.message, { kind: "trouble", action: { label: "Sign in", href: location.href } });
      return;
    }
    showToast(`The photos could not be loaded. ${error.message}`, { kind: "trouble", action: { label: "Try again", run: retry } });
  }

  /** Something has changed; one's own stars are shown already, and what one just unstarred stays to be starred again. */
  async onChanged({ photos }) {
    const isOwnStar = this.favourites.savedHere !== this.savedSeen;
    this.savedSeen = this.favourites.savedHere;
    if (photos || !isOwnStar) await this.refresh();
  }

  /** Photos went to the trash or came back: the focus, if its photo is gone, goes to one that is there. */
  async onMoved(detail) {
    if (this.lightbox && detail?.trashed) {
      this.staysHere = true; // where the toast is that takes it back
      this.lightbox.close(); // and then the timeline is brought up to date
    }
    await this.refresh().catch((error) => this.onTrouble(error));
    if (document.activeElement === document.body) this.timeline.tabStop?.link.focus({ preventScroll: true });
  }

  /** The libraries have changed: new counts at once, but never under an open photo, whose neighbours would move. */
  async refresh() {
    if (this.lightbox) {
      this.mustRefresh = true;
      return;
    }
    this.mustRefresh = false;
    await this.model.refresh();
    this.showWhetherEmpty();
    this.timeline.rest();
  }

  onClick(event) {
    const tile = event.target.closest(".tile")?.tile;
    if (!tile) return;
    if (event.target.closest(".tile-star")) {
      this.toggleStar(tile);
    } else if (event.target.closest(".tile-link") && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      void this.open(this.model.numberOf(this.model.sections.indexOf(tile.section), tile.index), { entry: "new" });
    }
  }

  rate(tile, stars) {
    void this.favourites.rate(tile.id, stars, tile.photos.stars[tile.index]);
  }

  toggleStar(tile) {
    void this.favourites.toggle(tile.id, tile.photos.stars[tile.index]);
  }

  /** Note the place in the address, so that reload and back come back to it. */
  notePlace() {
    const key = this.timeline.keyHere();
    const address = `${this.homeUrl}${key ? `#${key}` : ""}`;
    history.replaceState({ place: this.timeline.placeToKeep() }, "", address);
  }

  /** The number of a photo in the whole timeline; -1 if it is not there. `day` is "2024-05-17" or "undated". */
  async numberOf(id, day) {
    const section = this.model.byKey.get(day) ?? this.model.byKey.get(day.slice(0, 7));
    if (!section) return -1;
    const photos = await this.model.photosOf(section).catch((error) => (this.onTrouble(error), null));
    const index = photos ? photos.id.indexOf(id) : -1;
    return index < 0 ? -1 : this.model.numberOf(this.model.sections.indexOf(section), index);
  }

  /** The page was loaded at a photo's address. */
  async openLinked(opened) {
    const number = opened.is_shown ? await this.numberOf(opened.id, opened.bucket) : -1;
    if (number >= 0) {
      await this.timeline.reveal(number, { isCentred: true });
      await this.open(number);
      return;
    }
    const single = new SingleSlide({
      id: opened.id, version: opened.version, ratio: opened.ratio, isVideo: opened.is_video, mediaType: opened.media_type, stars: opened.stars,
      hasThumbnail: opened.has_thumbnail, takenText: takenTitle(opened.taken_local), problem: opened.is_shown ? "" : opened.problem, canEdit: opened.can_edit,
    });
    await this.open(0, { single });
  }

  /** Forward again to a photo that was open before. */
  async openAgain({ id, day }) {
    const number = await this.numberOf(id, day);
    if (number < 0) location.reload();
    else await this.open(number, { entry: "own" });
  }

  /**
   * Open the photo with this number. `entry` says whose the address is: "new" makes an entry in the history, "own" is one
   * that was made so before, "page" is the page's own (it was loaded at the photo's address).
   */
  async open(number, { entry = "page", single = null } = {}) {
    if (this.lightbox) return;
    this.timeline.isPaused = true;
    const { Lightbox } = await import("photolala/lightbox").catch((error) => {
      this.timeline.isPaused = false;
      showToast("The photo could not be opened: a part of the page did not load. Reload it to try again.", { kind: "trouble" });
      throw error;
    });
    if (this.lightbox) return;
    const slides = single ?? new TimelineSlides(this.model, this.timeline);
    const { canTrash } = this.control;
    this.lightbox = new Lightbox(slides, this.favourites, JSON.parse(this.root.dataset.libraries), { canTrash, canCollect: true });
    this.lightbox.addEventListener("download", ({ detail }) => void downloadPhotos([detail.id]));
    this.lightbox.addEventListener("collect", ({ detail }) => void this.albums.ask([detail.id]));
    this.lightbox.addEventListener("trash", ({ detail }) => this.control.ask([detail.id]));
    this.isOwnEntry = entry !== "page";
    if (entry === "new") history.pushState(stateOf(slides.at(number)), "", this.hrefOf(slides.at(number).id));
    this.lightbox.addEventListener("show", ({ detail }) => this.onShow(detail, slides));
    this.lightbox.addEventListener("closed", ({ detail }) => void this.onClosed(detail.number, single));
    this.lightbox.open(number);
  }

  onShow({ number, id }, slides) {
    const address = this.hrefOf(id);
    if (location.pathname + location.search !== address) history.replaceState(stateOf(slides.at(number)), "", address);
    document.title = `${slides.at(number).takenText} · Photolala`;
  }

  async onClosed(number, single) {
    this.lightbox = null;
    document.title = this.title;
    const isStillPhoto = history.state?.isPhoto || location.pathname === new URL(this.hrefOf(NO_ID), location.href).pathname;
    if (isStillPhoto && this.isOwnEntry) {
      this.isClosing = true;
      history.back();
    } else if (!this.isOwnEntry && !this.staysHere && cameFromList()) {
      history.back();
      return;
    } else if (isStillPhoto || !this.isOwnEntry) {
      history.replaceState({}, "", this.homeUrl);
    }
    this.timeline.isPaused = this.isClosing ?? false;
    if (!single) await this.keyboard.focus(number);
    if (this.mustRefresh) await this.refresh().catch((error) => this.onTrouble(error));
  }

  /** Back or forward: the address has changed. */
  onAddress() {
    if (this.isClosing) {
      this.isClosing = false;
      this.timeline.isPaused = false;
      this.timeline.restSoon();
      return;
    }
    if (this.lightbox) {
      if (!history.state?.isPhoto) this.lightbox.close();
    } else if (history.state?.isPhoto) {
      void this.openAgain(history.state);
    } else if (location.hash && this.model.count) {
      this.timeline.jumpTo(Math.max(0, this.model.sectionFor(decodeURIComponent(location.hash.slice(1)))));
    }
  }
}

/** Whether the page of a photo was opened from a list of this site (folders, problems, duplicates …): closing leads back to it. */
function cameFromList() {
  const from = URL.canParse(document.referrer) ? new URL(document.referrer) : null;
  return from?.origin === location.origin && history.length > 1 && LISTS.test(from.pathname);
}

const root = document.getElementById("timeline");
if (root) void new TimelinePage(root).start();
