/** The original in place of the preview: for pictures that may move, and for any that is zoomed into. */

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
