/** Live Photos and motion photos: the short video of a still picture, played over it. */

import { wantRendition } from "photolala/api";
import { announce } from "photolala/toast";

const HOVER_MS = 300;

/** Play the video of a photo once over what `host` shows; returns its element, to be removed to end it. `urls` say where videos are. */
export function playOver(host, { id, pair }, urls, { isMuted = true } = {}) {
  const video = document.createElement("video");
  const src = pair === id ? urls.motion(id) : urls.original(pair);
  Object.assign(video, { className: "live-video", muted: isMuted, autoplay: true, playsInline: true, src });
  const end = () => video.remove();
  let isCopy = false;
  video.addEventListener("ended", end);
  video.addEventListener("error", async () => {
    if (isCopy || !video.isConnected) return end();
    isCopy = true;
    try {
      const { state } = pair === id ? { state: "failed" } : await wantRendition(pair);
      if (state === "ready") return (video.src = urls.rendition(pair));
      announce(state === "failed" ? "This browser cannot play it." : "A copy that this browser can play is being made. Try again in a moment.");
    } catch (error) {
      announce(error.message);
    }
    return end();
  });
  host.append(video);
  return video;
}

/** Plays the Live Photos of tiles in `root` while the mouse rests on them, and that of the tile with the focus at the key l. */
export class HoverPlayer {
  constructor(root, urls) {
    this.urls = urls;
    root.addEventListener("pointerover", (event) => event.pointerType === "mouse" && this.onOver(event.target.closest(".tile")?.tile ?? null));
    root.addEventListener("pointerleave", () => this.onOver(null));
    root.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
      const tile = key === "l" && !(ctrlKey || metaKey || altKey) && target.closest(".tile")?.tile;
      if (!tile?.pair) return;
      this.onOver(null);
      this.video = playOver(tile.link, tile, this.urls);
    });
    addEventListener("scroll", () => this.onOver(null), { passive: true });
  }

  onOver(tile) {
    if (tile === this.tile) return;
    clearTimeout(this.timer);
    this.video?.remove();
    this.tile = tile;
    this.video = null;
    if (!tile?.pair || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.timer = setTimeout(() => (this.video = playOver(tile.link, tile, this.urls)), HOVER_MS);
  }
}
