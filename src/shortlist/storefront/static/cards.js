/** An item as the storefront shows it: a card of a slate, a row of a ranking, an empty box while waiting. */

import { h, icon, picture, price, titleOf } from "./dom.js";

export const itemUrl = (item) => `#/item/${encodeURIComponent(item.item_id)}`;

const words = (source) => source.replaceAll("_", " ");

export function reasonLine(item) {
  return h("p", { class: "reason" }, icon("spark"), h("span", { title: item.reason }, item.reason || "Picked for you"));
}

/** The sources that proposed the item, as many as fit a narrow card in one line; the strip names all. */
export function sourceTags(item) {
  const names = (item.sources ?? []).map(words);
  const shown = names.length > 1 && names[0].length + names[1].length > 16 ? 1 : 2;
  const rest = names.slice(shown);
  return h("div", { class: "tags", title: `Found by ${names.join(", ")}` },
    names.slice(0, shown).map((name) => h("span", { class: "tag" }, name)),
    rest.length ? h("span", { class: "tag" }, `+${rest.length}`, h("span", { class: "unseen" }, ` more: ${rest.join(", ")}`)) : null);
}

export function markOf(mark) {
  if (!mark) return null;
  const text = { new: "New", up: String(mark.by), down: String(mark.by) }[mark.kind];
  const spoken = { new: "new in the slate", up: `up by ${mark.by}`, down: `down by ${mark.by}` }[mark.kind];
  return h("span", { class: `mark is-${mark.kind}`, data: { mark: mark.kind } },
    mark.kind === "new" ? null : icon(mark.kind),
    h("span", { "aria-hidden": "true" }, text),
    h("span", { class: "unseen" }, spoken));
}

/** `open`, `like`, `dislike`: what the buttons do, each given the item. */
export function card(item, { mark, hands, isLiked = false, showsRank = true, isEager = false, index }) {
  const title = titleOf(item);
  const quick = (name, label, act, pressed) =>
    h("button", { class: "quick", type: "button", "aria-label": `${label}: ${title}`, title: label,
      "aria-pressed": pressed, data: { act: name }, on: { click: (event) => act(item, event.currentTarget) } },
    icon(name === "like" ? "heart" : "cross"));
  return h("article", { class: "card", data: { item: item.item_id } },
    picture(item, { isEager }),
    markOf(mark),
    h("div", { class: "card-body" },
      h("div", { class: "card-top" },
        h("span", { class: "eyebrow" }, item.category ?? ""),
        showsRank ? h("span", { class: "rank num" }, `#${(index ?? item.position ?? 0) + 1}`) : null),
      h("h3", {}, h("a", { href: itemUrl(item), title, on: { click: () => hands.open(item) } }, title)),
      h("p", { class: "card-facts" }, h("span", {}, item.brand ?? ""), h("b", { class: "num" }, price(item))),
      reasonLine(item),
      sourceTags(item)),
    hands.like
      ? h("div", { class: "card-actions" },
        quick("like", "Like", hands.like, isLiked ? "true" : "false"),
        quick("dislike", "Not for me", hands.dislike))
      : null);
}

export function rankRow(item, { mark, hands, index }) {
  return h("li", { class: "rank-row", data: { item: item.item_id } },
    h("div", {}, h("span", { class: "rank num" }, String(index + 1)), markOf(mark)),
    picture(item),
    h("div", {},
      h("a", { href: itemUrl(item), on: { click: () => hands.open(item) } }, titleOf(item)),
      h("small", { title: item.reason }, item.reason ?? "")));
}

export function waitingCards(count) {
  return Array.from({ length: count }, () =>
    h("div", { class: "card is-waiting", "aria-hidden": "true" },
      h("div", { class: "picture bone" }),
      h("div", { class: "card-body" },
        h("div", { class: "card-top" }, h("div", { class: "bone is-line is-shorter" })),
        h("h3", {}, h("div", { class: "bone is-line" }), h("div", { class: "bone is-line is-short" })),
        h("p", { class: "card-facts" }, h("span", { class: "bone is-line is-shorter" })),
        h("p", { class: "reason" }, h("span", {}), h("span", { class: "bone is-line" })),
        h("div", { class: "tags" }))));
}
