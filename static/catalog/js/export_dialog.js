/** "Export": choose the destination that selected photos are copied to. */

import { get, post } from "photolala/api";
import { countPhotos } from "photolala/dates";
import { showToast } from "photolala/toast";

/** Let the person choose where the photos with these ids go, and begin. */
export async function exportPhotos(ids) {
  const dialog = document.getElementById("export-dialog");
  const [choices, error] = [dialog.querySelector(".album-choices"), dialog.querySelector(".form-error")];
  const say = (words) => {
    error.textContent = words;
    error.hidden = !words;
  };
  const begin = async (destination) => {
    try {
      const { id } = await post("/photos/export/", { photo_ids: ids, destination: destination.id });
      dialog.close();
      showToast(`${countPhotos(ids.length)} will be copied to “${destination.name}”.`, { kind: "export", action: { label: "Show", href: `/operations/${id}/` } });
    } catch (refused) {
      say(refused.message);
    }
  };
  dialog.querySelector("[data-count]").textContent = countPhotos(ids.length);
  say("");
  choices.replaceChildren();
  dialog.showModal();
  try {
    const { results } = await get("/export-destinations/", { limit: 1000 });
    const buttonOf = (one) => Object.assign(document.createElement("button"), { type: "button", textContent: one.name, onclick: () => void begin(one) });
    choices.replaceChildren(...results.map(buttonOf));
    dialog.querySelector("[data-none]").hidden = results.length > 0;
  } catch (failed) {
    say(failed.message);
  }
}
