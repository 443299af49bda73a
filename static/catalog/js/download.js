/** Takes photos out: one as it is, several as a ZIP. What cannot be had is said before. */

import { csrfToken, post } from "photolala/api";
import { countPhotos, sizeText } from "photolala/dates";
import { showToast } from "photolala/toast";

const ADDRESS = "/photos/download/";
const MOST_REASONS = 5;

/** Ask the server what a download of these photos would be, and begin it, once the person knows what it lacks. */
export async function downloadPhotos(ids, album = "") {
  let plan;
  try {
    plan = await post("/photos/download/plan/", { photo_ids: ids, ...(album && { album }) });
  } catch (error) {
    showToast(error.message, { kind: "download", action: { label: "Try again", run: () => void downloadPhotos(ids, album) } });
    return;
  }
  if (plan.error_count && !(await isWanted(plan))) return;
  send(ids, album);
  showToast(`${plan.filename} (${sizeText(plan.size_bytes)}) is being downloaded.`, { kind: "download" });
}

/** Say which photos the download would lack; whether the others are wanted nevertheless. */
function isWanted(plan) {
  const dialog = document.getElementById("download-dialog");
  dialog.querySelector("[data-missing]").textContent = countPhotos(plan.error_count);
  dialog.querySelector("[data-rest]").textContent = countPhotos(plan.success_count);
  const reasons = plan.errors.slice(0, MOST_REASONS).map(({ error }) => Object.assign(document.createElement("li"), { textContent: error }));
  dialog.querySelector("ul").replaceChildren(...reasons);
  dialog.querySelector("[data-more]").hidden = plan.error_count <= MOST_REASONS;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** A form, because the answer is a file that the browser saves; the page stays. */
function send(ids, album) {
  const form = Object.assign(document.createElement("form"), { method: "post", action: ADDRESS, hidden: true });
  for (const [name, value] of Object.entries({ csrfmiddlewaretoken: csrfToken(), photos: ids.join(","), album })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  document.body.append(form);
  form.submit();
  form.remove();
}
