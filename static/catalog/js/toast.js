/** Short messages at the foot of the page, and words for screen readers only. */

const SHOWN_MS = 6000;

function region(className, role) {
  let element = document.querySelector(`.${className}`);
  if (!element) {
    element = document.createElement("div");
    element.className = className;
    element.setAttribute("role", role);
    element.setAttribute("aria-live", "polite");
    document.body.append(element);
  }
  return element;
}

/** Show `message`; `action` may be `{label, run}` or `{label, href}`. The newest replaces one of the same `kind`. */
export function showToast(message, { kind = "", action = null, shownMs = SHOWN_MS } = {}) {
  const holder = region("toasts", "status");
  if (kind) holder.querySelector(`[data-kind="${kind}"]`)?.remove();
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.dataset.kind = kind;
  const words = document.createElement("span");
  words.className = "grow";
  words.textContent = message;
  toast.append(words);
  if (action) {
    const control = document.createElement(action.href ? "a" : "button");
    control.className = "button";
    control.textContent = action.label;
    if (action.href) control.href = action.href;
    else control.addEventListener("click", () => (toast.remove(), action.run()));
    toast.append(control);
  }
  holder.append(toast);
  setTimeout(() => toast.remove(), action ? shownMs * 2 : shownMs);
}

/** Say `message` to screen readers. */
export function announce(message) {
  const live = region("announcements", "status");
  live.classList.add("visually-hidden");
  live.textContent = message;
}
