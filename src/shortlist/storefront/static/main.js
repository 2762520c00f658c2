/** The storefront's start: wires what people do to the tracker and the address to a page. */

import { h } from "./dom.js";
import { avatar, home } from "./home.js";
import { itemPage } from "./item.js";
import { Shop } from "./shop.js";
import { strip } from "./strip.js";
import { welcome } from "./welcome.js";

const main = document.querySelector("main");
const shop = new Shop();
shop.name = document.querySelector("[data-shop]").textContent;
let leave = null;
const scrolls = new Map(); // where a page was left, for coming back

const hands = {
  choose(who) {
    shop.choose(who);
    goHome();
  },
  /** Somebody new: a guest nobody knows, who is asked first. */
  arrive() {
    shop.newGuest();
    if (location.hash === "#/welcome") route();
    else location.hash = "#/welcome";
  },
  home: goHome,
  startOver() {
    shop.newGuest();
    goHome();
  },
  open(item) {
    shop.open(item);
  },
  like(item, button) {
    button.setAttribute("aria-pressed", "true");
    shop.act("like", item);
    toast("More like this");
  },
  dislike(item) {
    shop.act("dislike", item);
    toast("Gone from your slate", { label: "Undo", act: () => shop.act("like", item) });
  },
  act(type, item, said, fields) {
    shop.act(type, item, fields);
    const undo = type === "purchase" ? { label: "Undo", act: () => shop.act("cancel", item, { quantity: 1 }) } : null;
    if (said) toast(said, undo);
  },
};

function goHome() {
  if (location.hash && location.hash !== "#/") location.hash = "#/";
  else route();
}

function toast(text, action = null) {
  const holder = document.querySelector("[data-toasts]");
  const element = h("div", { class: "toast" }, text, action
    ? h("button", { type: "button", on: { click: () => { action.act(); element.remove(); } } }, action.label)
    : null);
  holder.replaceChildren(element);
  setTimeout(() => element.remove(), 4_000);
}

function announce(text) {
  document.querySelector("[data-announce]").textContent = text;
}

function placeOf(hash) {
  const query = new URLSearchParams(hash.split("?")[1] ?? "");
  return { category: query.get("category") || null, page: Math.max(1, Number.parseInt(query.get("page"), 10) || 1) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

let shown = null;

function route({ isFirst = false } = {}) {
  const hash = location.hash || "#/";
  if (shown !== null) scrolls.set(shown, scrollY);
  const isBack = scrolls.has(hash) && !hash.startsWith("#/item/");
  shown = hash;
  leave?.();
  if (hash.split("?")[0] === "#/welcome") {
    document.title = `Welcome · ${shop.name}`;
    leave = welcome(main, shop, { hands });
    scrollTo({ top: 0, behavior: "instant" });
    main.querySelector("h1")?.focus({ preventScroll: true });
    return;
  }
  const [, itemId] = /^#\/item\/(.+)$/.exec(hash) ?? [];
  shop.without = itemId === undefined ? null : decoded(itemId);
  if (itemId !== undefined) {
    const id = shop.without;
    const last = shop.events[0]?.event;
    leave = itemPage(main, shop, { hands, itemId: id, isView: last?.item_id !== id || last.type !== "click" });
    if (!shop.slate) shop.show();
  } else {
    document.title = shop.name;
    const place = placeOf(hash);
    leave = home(main, shop, { hands, place });
    const isThere = shop.slate && shop.slate.category === place.category && shop.slate.page === place.page && shop.slate.without === null;
    if (!isThere) shop.show(place);
  }
  scrollTo({ top: isBack ? scrolls.get(hash) : 0, behavior: "instant" });
  if (!isFirst && !isBack) main.querySelector("h1")?.focus({ preventScroll: true });
}

function drawWho() {
  document.querySelector("[data-who]").replaceChildren(avatar(shop.user), h("span", {}, shop.user.name ?? shop.user.user_id));
}

function drawLive() {
  const live = document.querySelector("[data-live]");
  const isDown = shop.problem !== null && shop.problem.status === 0;
  live.hidden = false;
  live.classList.toggle("is-off", isDown);
  live.lastElementChild.textContent = isDown ? "offline" : "live";
}

document.querySelector("[data-skip]").addEventListener("click", (event) => {
  event.preventDefault(); // the address belongs to the pages
  main.focus();
});
shop.addEventListener("user", () => { drawWho(); shop.loadCategories(); });
shop.addEventListener("problem", drawLive);
shop.addEventListener("slate", (event) => {
  drawLive();
  if (!event.detail?.isReaction) return;
  const fresh = [...shop.marks.values()].filter((mark) => mark.kind === "new").length;
  announce(shop.marks.size ? `Your slate changed: ${fresh} new, ${shop.marks.size - fresh} moved.` : "Your slate stays as it is.");
});
addEventListener("hashchange", () => route());

strip(document.querySelector("[data-strip]"), shop, hands);
await shop.start();
route({ isFirst: true });
globalThis.shortlist = { shop }; // for the console, and for tests
