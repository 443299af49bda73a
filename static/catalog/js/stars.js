/** Five stars at the foot of an open photo, for mouse and touch: the third gives three, the same one again takes them away. */

import { starsText } from "photolala/dates";

const FULL = 5;
const SHAPE = "m12 3.6 2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8L3.6 9.7l5.8-.8z";

/** `onRate(stars)` is called with what was chosen, 0 to 5. */
export class StarRow {
  constructor(element, onRate) {
    this.element = element;
    this.stars = 0;
    this.buttons = Array.from({ length: FULL }, (_, index) => this.button(index + 1, onRate));
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", "Stars");
    element.replaceChildren(...this.buttons);
  }

  button(number, onRate) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = `${starsText(number)} (${number})`;
    button.setAttribute("aria-label", starsText(number));
    button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${SHAPE}"/></svg>`;
    button.addEventListener("click", () => onRate(number === this.stars ? 0 : number));
    return button;
  }

  /** Show so many stars; `canStar` is false where one may give none. */
  show(stars, canStar) {
    this.stars = stars;
    this.element.hidden = !canStar;
    this.buttons.forEach((button, index) => {
      button.classList.toggle("is-set", index < stars);
      button.setAttribute("aria-pressed", String(index + 1 === stars));
    });
  }
}
