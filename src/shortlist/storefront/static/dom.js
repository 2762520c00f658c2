/** Elements made by hand: text is only ever text, so nothing that a shop or a user wrote can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `props`: attributes; `class`, `on` ({ event: handler }) and `data` are what they say; true sets
 * an empty attribute, null and false none. Children: elements or text; null and false are left out.
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value == null || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child != null && child !== false).map(asNode));
  return element;
}

/** Put `children` into `element` in place of what is there; null and false are left out. */
export function show(element, ...children) {
  element.replaceChildren();
  return fill(element, null, children);
}

const asNode = (child) => (child instanceof Node ? child : document.createTextNode(String(child)));

/** Lucide-like strokes on a 24 grid, drawn by hand for this page. */
const PATHS = {
  heart: "M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.2 4.3 4.3 0 0 1 19.5 10c0 5.4-7.5 10-7.5 10Z",
  cross: "M6 6l12 12M18 6 6 18",
  cart: "M3 4h2.2l2.3 11h10.2l2-7.5H6.6M9 19.5h.01M16.5 19.5h.01",
  bag: "M5 8h14l1 12H4L5 8Zm4 0V6.5a3 3 0 0 1 6 0V8",
  up: "M12 19V5m-6 6 6-6 6 6",
  down: "M12 5v14m6-6-6 6-6-6",
  back: "M19 12H5m6-6-6 6 6 6",
  next: "M5 12h14m-6-6 6 6-6 6",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0-5v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4",
  moon: "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5Z",
  pulse: "M3 12h4l2.5-7 5 14 2.5-7h4",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Zm9.5-2.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z",
  pointer: "M5 4l6 15 2.2-6.3L19.5 10.5 5 4Z",
  star: "m12 4 2.5 5.2 5.7.8-4.1 4 1 5.7L12 17l-5.1 2.7 1-5.7-4.1-4 5.7-.8L12 4Z",
  alert: "M12 4 2.8 19.5h18.4L12 4Zm0 6v4.5m0 2.5v.01",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16Zm0 4v4.3l3 1.7",
  undo: "M8 9H4V5m.300 4A8 8 0 1 1 4 13",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  spark: "M12 4v5m0 6v5M4 12h5m6 0h5M7 7l2.5 2.5m5 5L17 17M17 7l-2.5 2.5m-5 5L7 17",
};

/** A decorative icon; the element beside it carries the words. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name] ?? "");
  return fill(svg, { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, [path]);
}

/** The picture's address when it is one a page may load, else the server's own drawing of the item. */
export function pictureUrl(item) {
  try {
    if (item.image) {
      const url = new URL(item.image, location.href);
      if (["http:", "https:"].includes(url.protocol) || /^data:image\//.test(item.image)) return url.href;
    }
  } catch {
    // No address at all: the drawing.
  }
  return `/images/${encodeURIComponent(item.item_id)}.svg`;
}

/** An item's picture in a box of fixed shape; falls back to the drawing, then to the first letter. */
export function picture(item, { isEager = false } = {}) {
  const drawing = `/images/${encodeURIComponent(item.item_id)}.svg`;
  const image = h("img", { alt: "", loading: isEager ? "eager" : "lazy", decoding: "async", src: pictureUrl(item) });
  const box = h("div", { class: "picture", data: { letter: [...(titleOf(item) || "?")][0].toUpperCase() } }, image);
  image.addEventListener("error", () => {
    if (image.src.endsWith(drawing)) image.remove();
    else image.src = drawing;
  });
  return box;
}

export const titleOf = (item) => item.title || item.item_id;

export function price(item) {
  if (item.price == null) return "";
  try {
    const style = item.currency ? { style: "currency", currency: item.currency } : { minimumFractionDigits: 2 };
    return new Intl.NumberFormat(undefined, style).format(item.price);
  } catch {
    return `${item.price} ${item.currency ?? ""}`.trim(); // a currency that is none
  }
}

/** "just now", "3 min", "2 h", "4 d": how long something took or lies back. */
export function ago(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds < 5) return "just now";
  for (const [unit, size] of [["d", 86_400], ["h", 3_600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

export function ms(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  return value < 0.1 ? `${Math.round(value * 1000)} µs` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** A hue for a name: the same person has the same colour on every visit. */
export function hue(name) {
  let sum = 0;
  for (const char of String(name)) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}

export const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
