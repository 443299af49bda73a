/** Stars: shown at once, sent to the server, taken back with a clear word if it says no; told to this site's other tabs. */

import { setRating } from "photolala/api";
import { starsText } from "photolala/dates";
import { announce, showToast } from "photolala/toast";

const FULL = 5;

/** How many stars the signed-in person gives. Dispatches "change" with `detail` `{id, stars}`, and "saved" with `{id}`. */
export class Favourites extends EventTarget {
  constructor() {
    super();
    this.known = new Map(); // id -> {stars, at}: what is shown, and since when
    this.sending = new Map(); // id -> {confirmed}
    this.savedHere = 0; // grows with every star that was saved in this tab or told by another
    this.channel = "BroadcastChannel" in window ? new BroadcastChannel("photolala-favourites") : null;
    this.channel?.addEventListener("message", ({ data }) => {
      this.savedHere++;
      this.show(data.id, data.stars);
    });
  }

  /** The photo's stars; `asLoaded` is what its bucket said. */
  starsOf(id, asLoaded) {
    return this.known.get(id)?.stars ?? (asLoaded || 0);
  }

  /** True if the photo has any star. */
  has(id, asLoaded) {
    return this.starsOf(id, asLoaded) > 0;
  }

  /** The server has told about the photos `ids`, asked at `askedAt`: it knows better, but for what was changed since. */
  trustServer(ids, askedAt) {
    if (this.known.size === 0) return;
    for (const id of ids) {
      if (this.known.get(id)?.at < askedAt && !this.sending.has(id)) this.known.delete(id);
    }
  }

  show(id, stars) {
    this.known.set(id, { stars, at: performance.now() });
    this.dispatchEvent(new CustomEvent("change", { detail: { id, stars } }));
  }

  noteSaved(id) {
    this.savedHere++;
    this.dispatchEvent(new CustomEvent("saved", { detail: { id } }));
  }

  /** The stars of `id` were saved by other ways, such as for many at once. */
  note(id, stars) {
    this.savedHere++;
    this.show(id, stars);
    this.channel?.postMessage({ id, stars });
  }

  /** Turn no stars into five and any into none, as seen by the person; sends the last wish only, however fast one clicks. */
  async toggle(id, asLoaded) {
    const before = this.starsOf(id, asLoaded);
    this.show(id, before ? 0 : FULL);
    announce(before ? "Star removed" : "Star added");
    if (this.sending.has(id)) return;
    const state = { confirmed: before };
    this.sending.set(id, state);
    try {
      while (this.has(id) !== state.confirmed > 0) {
        const wish = this.starsOf(id);
        const { rating } = await setRating(id, wish);
        state.confirmed = rating;
        this.noteSaved(id);
        this.known.get(id).at = performance.now();
        this.channel?.postMessage({ id, stars: rating });
        if (rating !== wish) {
          this.show(id, rating);
          break;
        }
      }
      // Fewer than five do not come back by another click.
      if (before && before < FULL && state.confirmed === 0) this.offerUndo("Star removed", id, before);
    } catch (error) {
      this.show(id, state.confirmed);
      const what = state.confirmed ? "The star was not removed." : "The star was not saved.";
      showToast(`${what} ${error.message}`, { kind: "star", action: { label: "Try again", run: () => this.toggle(id) } });
    } finally {
      this.sending.delete(id);
    }
  }

  /** Give `id` so many stars, 0 to 5. While another wish for it is on its way, nothing is done. */
  async rate(id, stars, asLoaded) {
    if (this.sending.has(id)) return;
    const before = this.starsOf(id, asLoaded);
    this.show(id, stars);
    this.sending.set(id, { confirmed: before });
    try {
      const { rating } = await setRating(id, stars);
      this.noteSaved(id);
      this.show(id, rating);
      this.channel?.postMessage({ id, stars: rating });
      announce(starsText(rating));
      this.offerUndo(starsText(rating), id, before);
    } catch (error) {
      this.show(id, before);
      const action = { label: "Try again", run: () => this.rate(id, stars, asLoaded) };
      showToast(`The stars were not saved. ${error.message}`, { kind: "star", action });
    } finally {
      this.sending.delete(id);
    }
  }

  offerUndo(words, id, before) {
    const isChanged = this.starsOf(id) !== before;
    showToast(words, { kind: "star", action: isChanged ? { label: "Undo", run: () => void this.rate(id, before) } : null });
  }
}
