/** Notices that libraries or stars have changed elsewhere, by asking every few seconds while the page is looked at. */

import { fetchEvents } from "photolala/api";

const EVERY_MS = 4_000;

/** Calls `onChange({photos, stars})`, saying what has changed. It may return a promise; the next look waits for it. */
export class LibraryWatch {
  constructor(onChange) {
    this.onChange = onChange;
    this.cursor = "";
    this.timer = 0;
    document.addEventListener("visibilitychange", () => this.schedule(document.hidden ? null : 0));
    this.schedule(0);
  }

  schedule(delay) {
    clearTimeout(this.timer);
    if (delay !== null) this.timer = setTimeout(() => void this.look(), delay);
  }

  async look() {
    let next = EVERY_MS;
    try {
      const answer = await fetchEvents(this.cursor);
      const changed = { photos: answer.libraries.length + answer.gone.length > 0, stars: answer.favorites_changed };
      if (this.cursor && (changed.photos || changed.stars)) await this.onChange(changed);
      this.cursor = answer.cursor;
    } catch (error) {
      // Away for a moment; what people do themselves tells them so. Signed out: asking on would be of no use.
      if (error.status === 401 || error.status === 403) return;
      if (error.status === 400) this.cursor = ""; // after an update of the server
      next = Math.max(4 * EVERY_MS, (error.retryAfterSeconds || 0) * 1000);
    }
    if (!document.hidden) this.schedule(next);
  }
}
