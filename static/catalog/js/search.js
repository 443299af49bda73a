/** The search field of every page: suggestions while one types, Escape leads back to where one came from. Needs no other module. */

const FROM = "photolala-search-from";
const PATH = "/search/";
const SUGGESTIONS = "/api/v1/search/suggestions/";
const WAIT_MS = 150;
const NAMES = { year: "Year", month: "Month", album: "Album", camera: "Camera", lens: "Lens", keyword: "Keyword", folder: "Folder" };
const field = document.getElementById("search");
const isOnSearch = location.pathname === PATH;

/** Where one was before the first search; the photos if that is not known. */
function placeBefore() {
  try {
    return sessionStorage.getItem(FROM) || "/";
  } catch {
    return "/"; // a browser that keeps nothing
  }
}

function notePlace() {
  if (isOnSearch) return;
  try {
    sessionStorage.setItem(FROM, location.pathname + location.search + location.hash);
  } catch {
    // then Escape leads to all photos
  }
}

function isBusy() {
  return document.querySelector("dialog[open], .pswp, #selection-bar:not([hidden])") !== null;
}

/** A combobox as WAI-ARIA describes it: the field keeps the focus, arrows choose, Enter takes. */
class Suggestions {
  constructor(input) {
    this.input = input;
    this.list = document.createElement("ul");
    this.list.id = "search-suggestions";
    this.list.className = "finder-suggestions";
    this.list.hidden = true;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Suggestions");
    input.after(this.list);
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", this.list.id], ["aria-expanded", "false"]]) {
      input.setAttribute(name, value);
    }
    this.chosen = -1;
    this.asked = null;
    input.addEventListener("input", () => this.askSoon());
    input.addEventListener("keydown", (event) => this.onKey(event));
    input.addEventListener("blur", () => this.close());
    this.list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.take([...this.list.children].indexOf(option));
    });
  }

  get isOpen() {
    return !this.list.hidden;
  }

  askSoon() {
    clearTimeout(this.timer);
    this.asked?.abort();
    if (this.input.value.trim()) this.timer = setTimeout(() => void this.ask(), WAIT_MS);
    else this.close();
  }

  async ask() {
    const asked = new AbortController();
    this.asked = asked;
    try {
      const address = `${SUGGESTIONS}?${new URLSearchParams({ q: this.input.value })}`;
      const answer = await fetch(address, { headers: { Accept: "application/json" }, signal: asked.signal });
      const results = answer.ok ? (await answer.json()).results : [];
      if (this.asked === asked && document.activeElement === this.input) this.show(results);
    } catch {
      // Without suggestions one types on.
    }
  }

  show(results) {
    this.results = results;
    this.list.replaceChildren(...results.map(({ kind, name }, index) => {
      const option = document.createElement("li");
      option.id = `search-suggestion-${index}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      const what = document.createElement("span");
      what.textContent = NAMES[kind] ?? kind;
      option.append(name, " ", what);
      return option;
    }));
    this.choose(-1);
    this.list.hidden = results.length === 0;
    this.input.setAttribute("aria-expanded", String(this.isOpen));
  }

  close() {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.asked = null;
    this.show([]);
  }

  choose(index) {
    this.list.children[this.chosen]?.setAttribute("aria-selected", "false");
    this.chosen = index;
    const option = this.list.children[index];
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  take(index) {
    this.input.value = this.results[index].query;
    this.close();
    this.input.form.requestSubmit();
  }

  onKey(event) {
    if (!this.isOpen || event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const count = this.list.children.length + 1; // one more place: the field itself
      this.choose(((this.chosen + 1 + step + count) % count) - 1);
    } else if (event.key === "Enter" && this.chosen >= 0) {
      this.take(this.chosen);
    } else if (event.key === "Escape") {
      this.close();
    } else {
      return;
    }
    event.preventDefault();
  }
}

if (field) {
  const suggestions = new Suggestions(field);
  field.form.addEventListener("submit", (event) => {
    if (field.value.trim()) notePlace();
    else event.preventDefault();
  });
  // Asked before others hear the key: what it closes is still open then.
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || isBusy() || suggestions.isOpen) return;
    if (isOnSearch && location.pathname === PATH) {
      event.preventDefault();
      location.assign(placeBefore());
    } else if (document.activeElement === field) {
      event.preventDefault();
      field.blur();
    }
  }, { capture: true });
}
