/** The videos of an open photo: played as they are where the browser can, else as a copy that the server makes. */

import { wantRendition } from "photolala/api";

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
