/** Keys that work on every page: g and a letter go, ? explains, / searches. Needs no other module. */

const PLACES = { t: "/", l: "/libraries/", f: "/favourites/", o: "/operations/", e: "/exports/", a: "/albums/", n: "/notes/" };
const SEQUENCE_MS = 1500;
const EXPLAINED = [
  ["Photos", [["← → ↑ ↓", "Move from photo to photo"], ["Enter", "Open the photo"], ["Esc", "Close it"], ["f", "Add or remove the star"], ["1 … 5  0", "Rate with that many stars, 0 for none"], ["Home  End", "First, last photo"], ["l", "Play a Live Photo"]]],
  ["Many at once", [["Space", "Select the photo"], ["Shift Space", "Select all from the last one to here"], ["m", "Select its month"], ["Ctrl a", "Select all"], ["f  0 … 5", "Stars for all that are selected"], ["a", "Add them to an album"], ["d", "Download them"], ["Delete", "Move them to the trash"], ["Esc", "Clear selection"]]],
  ["In an open photo", [["← →", "Previous, next"], ["i", "Show what is known about it"], ["c", "Write its caption"], ["t", "Change its date"], ["k", "Add keywords"], ["p", "Change its place"], ["d", "Download the original"], ["z", "Zoom"], ["s", "Slideshow"], ["l", "Play a Live Photo"], ["a", "Add it to an album"], ["Delete", "Move it to the trash"]]],
  ["Go to", [["g t", "Photos"], ["g f", "Favourites"], ["g a", "Albums"], ["g n", "Notes"], ["g l", "Libraries"], ["g e", "Exports"], ["g o", "Operations"]]],
  ["In an album that is arranged", [["Alt ← →", "Move it earlier, later"], ["Alt Home  End", "Move it to the start, to the end"], ["Delete", "Remove it from the album"], ["Esc", "Done"]]],
  ["Everywhere", [["/", "Search"], ["?", "Show these keys"]]],
];
let startedAt = -Infinity;

function isTyping(target) {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;
}

function go(letter) {
  const link = document.querySelector(`nav a[href="${PLACES[letter]}"]`);
  if (link) location.assign(link.href);
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function keyWords(keys) {
  const words = element("dt", "");
  for (const key of keys.split(/\s+/)) words.append(element("kbd", key), " ");
  return words;
}

function explain() {
  let dialog = document.getElementById("shortcuts");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "shortcuts";
    dialog.className = "shortcuts";
    dialog.setAttribute("aria-labelledby", "shortcuts-title");
    const title = element("h2", "Keys");
    title.id = "shortcuts-title";
    dialog.append(title);
    for (const [heading, rows] of EXPLAINED) {
      const list = document.createElement("dl");
      for (const [keys, meaning] of rows) {
        if (keys === "/" && !searchField()) continue;
        if (keys.startsWith("g ") && !document.querySelector(`nav a[href="${PLACES[keys[2]]}"]`)) continue;
        list.append(keyWords(keys), element("dd", meaning));
      }
      dialog.append(element("h3", heading), list);
    }
    const form = document.createElement("form");
    form.method = "dialog";
    form.append(element("button", "Close", "button is-main"));
    dialog.append(form);
    document.body.append(dialog);
  }
  if (!dialog.open) dialog.showModal();
}

function searchField() {
  return document.querySelector('input[type="search"]');
}

// Heard before anyone else, so that "g f" goes to the favourites and does not star the focused photo.
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const isSequence = event.timeStamp - startedAt < SEQUENCE_MS;
  startedAt = -Infinity;
  if (isSequence && event.key in PLACES) {
    event.preventDefault();
    event.stopPropagation();
    go(event.key);
  } else if (event.key === "g") {
    startedAt = event.timeStamp;
  } else if (event.key === "?") {
    event.preventDefault();
    explain();
  } else if (event.key === "/" && searchField()) {
    event.preventDefault();
    searchField().focus();
  }
}, { capture: true });
