/** What shows more than a preview: originals that move or are zoomed into, videos, and the short videos of Live Photos. */

import { wantRendition } from "photolala/api";
import { announce } from "photolala/toast";

/** What browsers show by themselves. */
const SHOWN = new Set(["image/jpeg", "image/png", "image/webp", "image/avif", "image/gif"]);
/** Of these a preview, which is one still picture, may be less than the file. */
const MAY_MOVE = new Set(["image/png", "image/webp", "image/avif", "image/gif"]);
const CLOSER = 1.05;

/** Let the pictures of a PhotoSwipe become their originals; `urlOf(id)` is where such a file is. */
export class Originals {
  constructor(pswp, urlOf) {
    this.urlOf = urlOf;
    pswp.on("contentActivate", ({ content }) => MAY_MOVE.has(content.data.mediaType) && void this.show(content));
    pswp.on("zoomPanUpdate", ({ slide }) => slide.currZoomLevel > slide.zoomLevels.initial * CLOSER && void this.show(slide.content));
  }

  /** Load the original beside the preview, and exchange them when it is there; if it cannot be shown, the preview stays. */
  async show(content) {
    const { type, id, mediaType } = content.data;
    if (type !== "image" || !SHOWN.has(mediaType) || content.isOriginal) return;
    content.isOriginal = true;
    const image = new Image();
    image.src = this.urlOf(id);
    try {
      await image.decode();
    } catch {
      return;
    }
    const preview = content.element;
    if (!preview?.isConnected || preview.tagName !== "IMG") {
      content.isOriginal = false; // it was removed meanwhile, and comes back as its preview
      return;
    }
    image.className = preview.className;
    image.alt = preview.alt;
    image.style.cssText = preview.style.cssText;
    preview.replaceWith(image);
    content.element = image;
  }
}

const CONVERTING_MS = 1500;

/** `urls` has `original(id)` and `rendition(id)`. */
export class Videos {
  constructor(urls) {
    this.urls = urls;
  }

  /** The element that plays a slide's video. */
  of(content) {
    const video = document.createElement("video");
    video.controls = true;
    video.preload = "metadata";
    video.playsInline = true;
    if (content.data.msrc) video.poster = content.data.msrc;
    const isRendition = content.data.hasRendition;
    const refuse = () => {
      if (isRendition) this.showReason(content, "This browser cannot play the video. The original can be downloaded.");
      else void this.convert(content);
    };
    video.addEventListener("error", refuse);
    // Of a video whose pictures it cannot decode a browser may play the sound alone, without a word.
    video.addEventListener("loadedmetadata", () => video.videoWidth === 0 && refuse());
    video.src = isRendition ? this.urls.rendition(content.data.id) : this.urls.original(content.data.id);
    return video;
  }

  showReason(content, words) {
    const reason = document.createElement("div");
    reason.className = "photo-reason";
    reason.setAttribute("role", "status");
    reason.textContent = words;
    content.element.replaceChildren(reason);
  }

  /** The browser cannot play the video: let the server make it into one that it can, and play that. */
  async convert(content) {
    const isWanted = () => content.element?.isConnected;
    try {
      for (;;) {
        const { state, progress, reason } = await wantRendition(content.data.id);
        if (state === "failed") return this.showReason(content, reason);
        if (state === "ready") {
          content.data.hasRendition = true;
          return content.element.replaceChildren(this.of(content));
        }
        const far = progress === null ? "" : ` ${Math.floor(progress * 100)} %`;
        this.showReason(content, `This browser cannot play the video as it is. A copy that it can play is being made …${far}`);
        await new Promise((resolve) => setTimeout(resolve, CONVERTING_MS));
        if (!isWanted()) return undefined;
      }
    } catch (error) {
      return this.showReason(content, `This browser cannot play the video. ${error.message} The original can be downloaded.`);
    }
  }
}

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
