/** Stars: shown at once, sent to the server, taken back with a clear word if it says no; told to this site's other tabs. */

import { setRating } from "photolala/api";
import { announce, showToast } from "photolala/toast";

const STARRED = 5;

/** What the signed-in person likes. Dispatches "change" with `detail` `{id, favourite}`, and "saved" with `{id}`. */
export class Favourites extends EventTarget {
  constructor() {
    super();
    this.known = new Map(); // id -> {favourite, at}: what is shown, and since when
    this.sending = new Map(); // id -> {confirmed}
    this.savedHere = 0; // grows with every star that was saved in this tab or told by another
    this.channel = "BroadcastChannel" in window ? new BroadcastChannel("photolala-favourites") : null;
    this.channel?.addEventListener("message", ({ data }) => {
      this.savedHere++;
      this.show(data.id, data.favourite);
    });
  }

  /** True if the photo has its star; `asLoaded` is what its bucket said. */
  has(id, asLoaded) {
    return this.known.get(id)?.favourite ?? Boolean(asLoaded);
  }

  /** The server has told about the photos `ids`, asked at `askedAt`: it knows better, but for what was changed since. */
  trustServer(ids, askedAt) {
    if (this.known.size === 0) return;
    for (const id of ids) {
      if (this.known.get(id)?.at < askedAt && !this.sending.has(id)) this.known.delete(id);
    }
  }

  show(id, favourite) {
    this.known.set(id, { favourite, at: performance.now() });
    this.dispatchEvent(new CustomEvent("change", { detail: { id, favourite } }));
  }

  noteSaved(id) {
    this.savedHere++;
    this.dispatchEvent(new CustomEvent("saved", { detail: { id } }));
  }

  /** The star of `id` was saved by other ways, such as for many at once. */
  note(id, favourite) {
    this.savedHere++;
    this.show(id, favourite);
    this.channel?.postMessage({ id, favourite });
  }

  /** Turn the star of `id` over, as seen by the person; sends the last wish only, however fast one clicks. */
  async toggle(id, asLoaded) {
    const before = this.has(id, asLoaded);
    this.show(id, !before);
    announce(before ? "Star removed" : "Star added");
    if (this.sending.has(id)) return;
    const state = { confirmed: before };
    this.sending.set(id, state);
    try {
      while (this.has(id) !== state.confirmed) {
        const wish = this.has(id);
        const answer = await setRating(id, wish ? STARRED : 0);
        state.confirmed = answer.favorited;
        this.noteSaved(id);
        this.known.get(id).at = performance.now();
        this.channel?.postMessage({ id, favourite: answer.favorited });
        if (answer.favorited !== wish) {
          this.show(id, answer.favorited);
          break;
        }
      }
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
    const before = this.has(id, asLoaded);
    this.show(id, stars > 0);
    this.sending.set(id, { confirmed: before });
    try {
      const answer = await setRating(id, stars);
      this.noteSaved(id);
      this.show(id, answer.favorited);
      this.channel?.postMessage({ id, favourite: answer.favorited });
      const words = stars === 0 ? "No stars" : stars === 1 ? "1 star" : `${stars} stars`;
      announce(words);
      showToast(words, { kind: "star" });
    } catch (error) {
      this.show(id, before);
      const action = { label: "Try again", run: () => this.rate(id, stars, asLoaded) };
      showToast(`The stars were not saved. ${error.message}`, { kind: "star", action });
    } finally {
      this.sending.delete(id);
    }
  }
}
