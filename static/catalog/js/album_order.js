/** Arranging an album: move items by pointer, by button or by keyboard; remove them; choose the cover. Saved at once. */

import { patch, post } from "photolala/api";
import { countPhotos } from "photolala/dates";
import { announce, showToast } from "photolala/toast";

const MOVED_PX = 8;

/** Show that the album has so many more photos; return how many it has. */
export function showCount(more) {
  const place = document.querySelector("[data-photo-count]");
  const count = (place.dataset.photoCount = Number(place.dataset.photoCount) + more);
  if (more) place.textContent = countPhotos(count);
  return count;
}

export class AlbumOrder {
  constructor(list, button) {
    Object.assign(this, { list, button });
    this.isOn = false;
    this.drag = null;
    this.saving = Promise.resolve();
    button.addEventListener("click", () => this.turn(!this.isOn));
    list.addEventListener("click", (event) => this.onClick(event));
    list.addEventListener("keydown", (event) => this.onKey(event));
    list.addEventListener("pointerdown", (event) => this.onDown(event));
    list.addEventListener("pointermove", (event) => this.onMove(event));
    list.addEventListener("pointerup", () => this.drop());
    list.addEventListener("pointercancel", () => this.cancel());
    list.addEventListener("dragstart", (event) => this.isOn && event.preventDefault());
  }

  get path() {
    return `/albums/${this.list.dataset.album}`;
  }

  turn(isOn) {
    this.isOn = isOn;
    this.list.classList.toggle("is-arranging", isOn);
    this.button.setAttribute("aria-pressed", String(isOn));
    this.button.textContent = isOn ? "Done" : "Arrange";
    announce(isOn ? "Arranging. Move an item with its buttons, or with Alt and the arrow keys." : "Arranged.");
  }

  onClick(event) {
    const act = event.target.closest("[data-act]")?.dataset.act;
    const item = event.target.closest(".album-item");
    if (!act || !item) return;
    const acts = {
      earlier: () => this.step(item, -1), later: () => this.step(item, 1), cover: () => this.setCover(item), remove: () => this.remove(item),
    };
    acts[act]();
  }

  onKey(event) {
    const item = event.target.closest(".album-item");
    if (!this.isOn || !item) return;
    const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
    if (event.altKey && event.key in steps) {
      event.preventDefault();
      this.step(item, steps[event.key]);
    } else if (event.altKey && (event.key === "Home" || event.key === "End")) {
      event.preventDefault();
      const { items } = this;
      this.place(item, event.key === "Home" ? items[0] : items.at(-1).nextElementSibling);
    } else if (event.key === "Delete") {
      event.preventDefault();
      this.remove(item);
    } else if (event.key === "Escape") this.turn(false);
  }

  get items() {
    return [...this.list.querySelectorAll(".album-item")];
  }

  step(item, by) {
    const { items } = this;
    const to = items.indexOf(item) + by;
    if (to < 0 || to >= items.length) return;
    this.place(item, by < 0 ? items[to] : items[to].nextElementSibling);
  }

  /** Put `item` before the element `next` (or last), keep the focus, and save. */
  place(item, next) {
    const focused = item.contains(document.activeElement) ? document.activeElement : null;
    const back = item.nextElementSibling;
    if (next === item || next === back) return;
    this.list.insertBefore(item, next);
    focused?.focus();
    const { items } = this;
    const number = items.indexOf(item);
    announce(`Moved to ${number + 1} of ${items.length}`);
    const after = number > 0 ? items[number - 1].dataset.item : null;
    this.save(
      () => post(`${this.path}/items/move/`, { item_ids: [item.dataset.item], after }),
      () => this.list.insertBefore(item, back),
      "The new place was not saved.",
    );
  }

  /** Send one change after the other; what the server refuses is taken back on the page. */
  save(send, undo, words) {
    this.saving = this.saving.then(send).catch((error) => {
      undo();
      showToast(`${words} ${error.message}`, { kind: "order" });
    });
    return this.saving;
  }

  setCover(item) {
    const before = this.list.querySelector(".is-cover");
    before?.classList.remove("is-cover");
    item.classList.add("is-cover");
    const undo = () => (item.classList.remove("is-cover"), before?.classList.add("is-cover"));
    void this.save(() => patch(`${this.path}/`, { cover: item.dataset.photo }), undo, "The cover was not changed.");
    announce("This is the cover now.");
  }

  remove(item) {
    const next = item.nextElementSibling;
    const neighbour = item.nextElementSibling?.matches(".album-item") ? item.nextElementSibling : item.previousElementSibling;
    const isPhoto = Number("photo" in item.dataset);
    const take = () => (item.remove(), showCount(-isPhoto));
    const putBack = () => (this.list.insertBefore(item, next?.isConnected ? next : null), showCount(isPhoto));
    take();
    neighbour?.querySelector('[data-act="remove"]')?.focus();
    const items = [item.dataset.item];
    let isRefused = false;
    const refused = () => ((isRefused = true), putBack());
    void this.save(() => post(`${this.path}/items/remove/`, { item_ids: items }), refused, "It was not removed.").then(() => {
      if (isRefused) return;
      const undo = () => {
        putBack();
        void this.save(() => post(`${this.path}/items/restore/`, { item_ids: items }), take, "It was not brought back.");
      };
      showToast("Removed from the album. The photo stays in its library.", { kind: "order", action: { label: "Undo", run: undo } });
    });
  }

  onDown(event) {
    const item = event.target.closest(".album-item");
    if (!this.isOn || !item || event.button !== 0 || event.target.closest("[data-act]")) return;
    this.drag = { item, x: event.clientX, y: event.clientY, isMoving: false, target: null };
  }

  onMove(event) {
    const { drag } = this;
    if (!drag) return;
    if (!drag.isMoving) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < MOVED_PX) return;
      drag.isMoving = true;
      drag.item.classList.add("is-moving");
      this.list.setPointerCapture(event.pointerId);
    }
    drag.target?.classList.remove("is-target");
    drag.target = this.targetAt(event.clientX, event.clientY);
    drag.target?.classList.add("is-target");
  }

  /** The item before which a drop at this point puts what is dragged; null for the end. */
  targetAt(x, y) {
    const under = document.elementsFromPoint(x, y).map((one) => one.closest?.(".album-item")).find((one) => one && this.list.contains(one));
    if (!under) return null;
    const { left, width } = under.getBoundingClientRect();
    return x < left + width / 2 ? under : (under.nextElementSibling?.matches(".album-item") ? under.nextElementSibling : null);
  }

  drop() {
    const { drag } = this;
    this.cancel();
    if (!drag?.isMoving) return;
    this.place(drag.item, drag.target ?? this.items.at(-1).nextElementSibling);
  }

  cancel() {
    this.drag?.item.classList.remove("is-moving");
    this.drag?.target?.classList.remove("is-target");
    this.drag = null;
  }
}
