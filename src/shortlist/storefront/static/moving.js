/** A list whose items glide to their new places: what stays keeps its element, so eyes and focus follow it. */

import { isCalm } from "./dom.js";

const EASE = "cubic-bezier(0.2, 0.7, 0.2, 1)";

export class MovingList {
  #container;
  #elements = new Map(); // key -> element

  /** `container` is positioned; its children are this list's own. */
  constructor(container) {
    this.#container = container;
  }

  /** Show `items` in this order; `draw(item, index)` makes an element, whose data-item is the key. */
  update(items, draw, { isAnimated = true } = {}) {
    const container = this.#container;
    const isMoving = isAnimated && !isCalm() && this.#elements.size > 0;
    const places = new Map();
    for (const [key, element] of this.#elements) {
      if (isMoving && element.isConnected) places.set(key, element.getBoundingClientRect());
    }
    const focused = document.activeElement?.closest?.("[data-item]");
    const focusKey = focused && container.contains(focused) ? focused.dataset.item : null;
    const focusAct = document.activeElement?.dataset?.act;

    const frame = container.getBoundingClientRect();
    const next = new Map(items.map((item, index) => [String(item.item_id), draw(item, index)]));
    const leaving = [...this.#elements].filter(([key]) => !next.has(key));
    // A redrawn card takes over the picture of the old one: nothing flickers.
    for (const [key, element] of next) keepPicture(this.#elements.get(key), element);
    container.replaceChildren(...next.values());
    this.#elements = next;

    if (focusKey !== null) {
      const target = next.get(focusKey) ?? next.values().next().value;
      (target?.querySelector(focusAct ? `[data-act="${focusAct}"]` : "a") ?? target?.querySelector("a"))?.focus({ preventScroll: true });
    }
    if (!isMoving) return;
    for (const [key, element] of next) glide(element, places.get(key));
    for (const [key, element] of leaving) depart(container, frame, element, places.get(key));
  }

  has(key) {
    return this.#elements.has(String(key));
  }
}

function keepPicture(old, fresh) {
  const [was, is] = [old?.querySelector(".picture"), fresh.querySelector(".picture")];
  if (was && is && was.querySelector("img")?.src === is.querySelector("img")?.src) is.replaceWith(was);
}

function glide(element, from) {
  if (!from) {
    element.animate(
      [{ opacity: 0, transform: "translateY(14px) scale(0.96)" }, { opacity: 1, transform: "none" }],
      { duration: 420, easing: EASE, delay: 90, fill: "backwards" },
    );
    return;
  }
  const to = element.getBoundingClientRect();
  const [dx, dy] = [from.left - to.left, from.top - to.top];
  if (Math.abs(dx) + Math.abs(dy) < 1) return;
  element.animate([{ transform: `translate(${dx}px, ${dy}px)`, zIndex: 1 }, { transform: "none", zIndex: 1 }], {
    duration: 480,
    easing: EASE,
  });
}

function depart(container, frame, element, from) {
  if (!from) return;
  element.setAttribute("aria-hidden", "true");
  element.inert = true;
  Object.assign(element.style, {
    position: "absolute",
    left: `${from.left - frame.left}px`,
    top: `${from.top - frame.top}px`,
    width: `${from.width}px`,
    height: `${from.height}px`,
    pointerEvents: "none",
  });
  delete element.dataset.item;
  container.append(element);
  const going = element.animate([{ opacity: 1 }, { opacity: 0, transform: "scale(0.9)" }], { duration: 240, easing: EASE });
  going.finished.catch(() => null).then(() => element.remove());
}
