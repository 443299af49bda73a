/** A slideshow of the open photos: one after the other until somebody does something else. */

import { announce } from "photolala/toast";

const EACH_MS = 5_000;

/** Runs in a PhotoSwipe; `onChange(isOn)` is told. */
export class Slideshow {
  constructor(pswp, onChange) {
    Object.assign(this, { pswp, onChange, timer: 0 });
    pswp.on("keydown", ({ originalEvent }) => originalEvent.key !== "s" && this.stop());
    pswp.on("pointerDown", () => this.stop());
    pswp.on("destroy", () => this.stop());
  }

  toggle() {
    if (this.timer) return this.stop();
    this.timer = setInterval(() => this.step(), EACH_MS);
    announce("Slideshow");
    return this.onChange(true);
  }

  stop() {
    if (!this.timer) return;
    clearInterval(this.timer);
    this.timer = 0;
    this.onChange(false);
  }

  step() {
    const { pswp } = this;
    const video = pswp.currSlide?.content.element?.querySelector?.("video");
    if (document.hidden || (video && !video.paused)) return; // to its end
    if (pswp.currIndex >= pswp.getNumItems() - 1) this.stop();
    else pswp.next();
  }
}
