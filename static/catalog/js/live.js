/** Notices that the libraries have changed, by asking every few seconds while the page is looked at. */

import { fetchEvents } from "photolala/api";

const EVERY_MS = 4_000;

/** Calls `onChange()` when a visible library's revision has changed. It may return a promise; the next look waits for it. */
export class LibraryWatch {
  constructor(onChange) {
    this.onChange = onChange;
    this.seen = null;
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
      const { libraries } = await fetchEvents();
      const now = JSON.stringify(libraries);
      const hasChanged = this.seen !== null && now !== this.seen;
      if (hasChanged) await this.onChange();
      this.seen = now;
    } catch (error) {
      // Away for a moment; what people do themselves tells them so. Signed out: asking on would be of no use.
      if (error.status === 401 || error.status === 403) return;
      next = Math.max(4 * EVERY_MS, (error.retryAfterSeconds || 0) * 1000);
    }
    if (!document.hidden) this.schedule(next);
  }
}
