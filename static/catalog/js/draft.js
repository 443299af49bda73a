/** Writing a note: blocks of text and files, saved as one types, kept in the browser until the server has them. */

import { csrfToken, errorOf, patch } from "photolala/api";
import { showToast } from "photolala/toast";

const SAVE_AFTER_MS = 1000;
const RETRY_MS = 5000;

const pictureIn = ({ attachment }) => attachment?.media_md5 ?? attachment?.photo;
const addsTo = (longer, shorter) => longer.text.startsWith(shorter.text) && longer.caption.startsWith(shorter.caption);

class DraftPage {
  constructor(form) {
    this.form = form;
    this.id = form.dataset.draft;
    this.key = `photolala-draft-${this.id}`;
    this.status = document.querySelector("[data-saved]");
    this.holder = form.querySelector("[data-blocks]");
    this.blocks = JSON.parse(document.getElementById("draft-blocks").textContent);
    this.base = form.dataset.updated;
    this.isDirty = false;
    this.saving = null;
    this.takeKept();
    if (!this.blocks.length) this.blocks.push(this.newBlock("text"));
    form.querySelector("[data-plain]")?.remove();
    form.querySelector("[data-tools]").hidden = false;
    form.querySelector("[data-camera]").hidden = !matchMedia("(pointer: coarse)").matches;
    this.draw();
    this.holder.addEventListener("input", (event) => this.onInput(event));
    this.holder.addEventListener("click", (event) => this.onClick(event));
    form.querySelector('[data-add="text"]').addEventListener("click", () => this.add(this.newBlock("text")));
    for (const input of form.querySelectorAll("input[type=file]")) {
      input.addEventListener("change", () => {
        void this.addFiles([...input.files], input.dataset.add === "camera");
        input.value = "";
      });
    }
    form.addEventListener("change", ({ target }) => target.name === "albums" && this.changed());
    form.addEventListener("submit", (event) => void this.onSubmit(event));
    addEventListener("visibilitychange", () => document.hidden && this.isDirty && void this.save());
  }

  newBlock(type, attachment = null) {
    return { id: crypto.randomUUID(), type, text: "", attachment, caption: "", place: null };
  }

  /**
   * What a closed tab had not sent yet is there still, and is sent now. If the draft was changed elsewhere meanwhile, both
   * stay: blocks that were kept and differ follow those of the server.
   */
  takeKept() {
    const kept = JSON.parse(localStorage.getItem(this.key) ?? "null");
    if (!kept) return;
    const isNewest = kept.base === this.base;
    if (isNewest) this.blocks = kept.blocks;
    else for (const block of kept.blocks) this.addKept(block);
    for (const box of this.albumBoxes) {
      if (isNewest || kept.albums.includes(box.value)) box.checked = kept.albums.includes(box.value);
    }
    this.changed();
  }

  /** Go on with the same block if one of the two only adds to the other; else put this one last, unless it is empty. */
  addKept(block) {
    const own = this.blocks.find((one) => one.id === block.id);
    if (own && pictureIn(own) === pictureIn(block)) {
      if (addsTo(own, block)) return;
      if (addsTo(block, own)) {
        Object.assign(own, { text: block.text, caption: block.caption });
        return;
      }
    }
    if (block.text || block.attachment) this.blocks.push(own ? { ...block, id: crypto.randomUUID() } : block);
  }

  get albumBoxes() {
    return [...this.form.querySelectorAll("[name=albums]")];
  }

  get content() {
    return { blocks: this.blocks, albums: this.albumBoxes.filter((box) => box.checked).map((box) => box.value) };
  }

  draw() {
    const focused = document.activeElement?.closest(".draft-block")?.dataset.block;
    this.holder.replaceChildren(...this.blocks.map((block, number) => this.elementOf(block, number)));
    if (focused) this.holder.querySelector(`[data-block="${focused}"] textarea, [data-block="${focused}"] input`)?.focus();
  }

  elementOf(block, number) {
    const element = document.createElement("div");
    element.className = "draft-block";
    element.dataset.block = block.id;
    if (block.attachment) element.append(this.pictureOf(block));
    const field = document.createElement("textarea");
    field.rows = block.attachment ? 2 : 6;
    field.dataset.field = block.attachment ? "caption" : "text";
    field.value = block[field.dataset.field];
    field.setAttribute("aria-label", block.attachment ? `Caption of ${block.attachment.name || "the file"}` : `Text, block ${number + 1}`);
    const tools = document.createElement("div");
    tools.className = "row";
    const acts = [["up", "↑", "Move up", number === 0], ["down", "↓", "Move down", number === this.blocks.length - 1], ["remove", "✕", "Remove", false]];
    for (const [act, words, label, isOff] of acts) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "button is-plain", textContent: words, disabled: isOff });
      button.dataset.act = act;
      button.setAttribute("aria-label", `${label}, block ${number + 1}`);
      tools.append(button);
    }
    element.append(field, tools);
    return element;
  }

  pictureOf(block) {
    const { attachment, type } = block;
    const address = attachment.media_md5 ? `${this.form.dataset.mediaUrl}${attachment.media_md5}/` : `/api/v1/photos/${attachment.photo}/preview/`;
    const isVideo = type === "video" || attachment.media_type?.startsWith("video/");
    const element = document.createElement(type === "audio" ? "audio" : isVideo ? "video" : "img");
    if (element.tagName === "IMG") element.alt = attachment.name || "";
    else element.controls = true;
    element.src = address;
    return element;
  }

  onInput({ target }) {
    const block = this.blocks.find((one) => one.id === target.closest(".draft-block")?.dataset.block);
    if (!block || !target.dataset.field) return;
    block[target.dataset.field] = target.value;
    this.changed();
  }

  onClick({ target }) {
    const act = target.closest("[data-act]")?.dataset.act;
    if (!act) return;
    const number = this.blocks.findIndex((one) => one.id === target.closest(".draft-block").dataset.block);
    const [block] = this.blocks.splice(number, 1);
    if (act === "up") this.blocks.splice(number - 1, 0, block);
    if (act === "down") this.blocks.splice(number + 1, 0, block);
    if (act === "remove") {
      if (!this.blocks.length) this.blocks.push(this.newBlock("text"));
      const undo = () => (this.blocks.splice(number, 0, block), this.draw(), this.changed());
      showToast("Removed.", { kind: "draft", action: { label: "Undo", run: undo } });
    }
    this.draw();
    this.changed();
  }

  add(block) {
    this.blocks.push(block);
    this.draw();
    this.holder.lastElementChild.querySelector("textarea").focus();
    this.changed();
  }

  async addFiles(files, isCamera) {
    for (const file of files) {
      this.status.textContent = `Sending ${file.name} …`;
      try {
        const media = await this.send(file);
        const kind = media.media_type.split("/")[0];
        const attachment = { media_md5: media.md5, media_type: media.media_type, size_bytes: media.size_bytes, name: file.name };
        this.add(this.newBlock(isCamera ? "camera" : ["video", "audio"].includes(kind) ? kind : "image", attachment));
      } catch (error) {
        this.status.textContent = "";
        showToast(`${file.name} was not added. ${error.message}`, { kind: "draft-file", action: { label: "Try again", run: () => void this.addFiles([file], isCamera) } });
      }
    }
  }

  async send(file) {
    const headers = { "X-CSRFToken": csrfToken(), "Content-Type": file.type || "application/octet-stream" };
    const response = await fetch("/api/v1/media/", { method: "POST", credentials: "same-origin", headers, body: file });
    if (!response.ok) throw await errorOf(response);
    return response.json();
  }

  /** Keep it here at once, and send it when nothing was typed for a second. */
  changed() {
    this.keep();
    this.status.textContent = "Not saved yet";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.save(), SAVE_AFTER_MS);
  }

  keep() {
    this.isDirty = true;
    try {
      localStorage.setItem(this.key, JSON.stringify({ ...this.content, base: this.base }));
    } catch {
      // A full or forbidden store: the server gets it in a second anyway.
    }
  }

  /** Send what there is; one request at a time, the newest last. Returns whether the server has it. */
  async save() {
    clearTimeout(this.timer);
    if (this.saving) {
      await this.saving;
      return this.isDirty ? this.save() : true;
    }
    this.saving = this.sendContent();
    const isSaved = await this.saving;
    this.saving = null;
    return isSaved;
  }

  async sendContent() {
    const sent = JSON.stringify(this.content);
    this.isDirty = false;
    try {
      ({ updated_at: this.base } = await patch(`/drafts/${this.id}/`, this.content));
      if (JSON.stringify(this.content) === sent) {
        localStorage.removeItem(this.key);
        this.status.textContent = "Saved";
      } else this.keep();
      return true;
    } catch (error) {
      this.isDirty = true;
      this.status.textContent = `Not saved: ${error.message} It is kept in this browser.`;
      if (!error.status || error.status >= 500) this.timer = setTimeout(() => void this.save(), RETRY_MS);
      return false;
    }
  }

  /** The buttons of the form work with what the server has: first it must have all. */
  async onSubmit(event) {
    if (event.submitter?.value === "delete") {
      localStorage.removeItem(this.key);
      return;
    }
    if (!this.isDirty && !this.saving) return;
    event.preventDefault();
    const { submitter } = event;
    if (await this.save()) this.form.requestSubmit(submitter);
  }
}

const form = document.getElementById("draft");
if (form) new DraftPage(form);
