/** An item's page: what it is, what one can do with it, what is similar, and the slate changing beside it. */

import { card, rankRow, reasonLine, waitingCards } from "./cards.js";
import { h, icon, picture, price, show, titleOf } from "./dom.js";
import { explain, placeUrl } from "./home.js";
import { MovingList } from "./moving.js";

const HIDDEN_FACTS = new Set(["description", "image", "title"]);

/** Draw the page of `itemId` into `main`; `isView`: it was opened by its address, and no click says so. Returns
 * a function that lets go of the page. */
export function itemPage(main, shop, { hands, itemId, isView }) {
  const detail = h("article", { class: "detail", data: { detail: itemId } });
  const ranks = h("ol", { class: "ranks", data: { ranks: "" } });
  const list = new MovingList(ranks);
  const rankNote = h("small", {});
  const carousel = h("div", { class: "carousel", tabindex: "0", role: "group", "aria-label": "Similar items" }, waitingCards(6));
  const similar = h("section", { class: "similar" }, h("div", { class: "section-head" }, h("h2", {}, "Similar"), h("small", {}, "nearest by what people do and what it is")), carousel);
  let isFirst = true;
  let isGone = false;

  show(main, h("div", { class: "item" },
    h("a", { class: "crumb", href: placeUrl(shop.place) }, icon("back"), "All picks"),
    detail,
    h("section", { class: "panel", "aria-label": "Your slate now" }, h("div", { class: "section-head" }, h("h2", {}, "Your slate now"), rankNote), ranks),
    similar));

  function drawDetail(item, { isWhole }) {
    const title = titleOf(item);
    const hasPrice = item.price != null;
    const isLiked = shop.opinions.get(itemId) === "like";
    const isOut = item.stock === 0;
    const origin = { ...item, request_id: null, position: null, ...shop.origins.get(itemId) };
    const act = (type, label, name, { isMain = false, said, pressed, disabled = false } = {}) =>
      h("button", { class: `button${isMain ? " is-main" : ""}`, type: "button", data: { act: type }, "aria-pressed": pressed, disabled,
        on: { click: (event) => { hands.act(type, origin, said); if (pressed !== undefined) event.currentTarget.setAttribute("aria-pressed", "true"); } } },
      icon(name), label);
    document.title = `${title} · ${shop.name}`;
    const focused = detail.contains(document.activeElement) ? (document.activeElement.dataset.act ?? "") : null;
    show(detail, 
      picture(item, { isEager: true }),
      h("div", {},
        h("p", { class: "eyebrow" }, [...new Set([item.category, ...(item.categories ?? [])])].filter(Boolean).join(" · ") || " "),
        h("h1", { tabindex: "-1" }, title),
        hasPrice || item.brand || isOut
          ? h("p", { class: "detail-price num" }, price(item), item.brand ? h("small", {}, `by ${item.brand}`) : null,
            isOut ? h("span", { class: "tag is-danger" }, "out of stock") : item.stock != null && item.stock <= 5 ? h("span", { class: "tag is-amber" }, `only ${item.stock} left`) : null)
          : null,
        item.reason ? reasonLine(item) : null,
        h("div", { class: "actions" },
          act("cart", hasPrice ? "Add to cart" : "Save for later", "cart", { isMain: true, said: hasPrice ? "In your cart" : "Saved", disabled: isOut }),
          act("purchase", hasPrice ? "Buy" : "I have it", "bag", { said: hasPrice ? "Bought: it will not be recommended again" : "Noted: it will not be recommended again", disabled: isOut }),
          act("like", "Like", "heart", { said: "More like this", pressed: String(isLiked) }),
          act("dislike", "Not for me", "cross", { said: "Gone from your slate" })),
        hasPrice ? null : stars(origin),
        item.description ? h("p", { class: "detail-text" }, item.description) : isWhole ? null : h("p", { class: "detail-text" }, h("span", { class: "bone is-line" })),
        facts(item)));
    if (focused !== null) (detail.querySelector(`[data-act="${focused}"]`) ?? detail.querySelector("h1")).focus({ preventScroll: true });
  }

  function stars(item) {
    return h("fieldset", { class: "stars" }, h("legend", {}, "Seen it?"),
      [1, 2, 3, 4, 5].map((value) => h("label", {},
        h("input", { type: "radio", name: "stars", value, "aria-label": `${value} of 5 stars`,
          on: { change: () => hands.act("rating", item, `${value} of 5 stars`, { rating: value }) } }),
        icon("star"))));
  }

  function drawRanks() {
    const slate = shop.slate;
    if (!slate) return;
    list.update(slate.recommendations.filter((one) => one.item_id !== itemId), (one, index) => {
      const row = rankRow(one, { mark: shop.marks.get(one.item_id), hands, index });
      shop.tracker.observe(row, { item_id: one.item_id, request_id: slate.request_id, position: one.position ?? index });
      return row;
    }, { isAnimated: !isFirst });
    isFirst = false;
    rankNote.textContent = shop.marks.size && shop.reactionMs != null ? `changed in ${shop.reactionMs} ms` : "reacts to what you do";
  }

  async function load() {
    const known = shop.items.get(itemId);
    if (known) drawDetail(known, { isWhole: false });
    else show(detail, h("div", { class: "picture bone" }), h("div", {}, h("h1", { tabindex: "-1" }, h("span", { class: "unseen" }, "Loading")), h("p", { class: "bone is-line is-short" }), h("p", { class: "bone is-line" })));
    const [item, near] = await Promise.allSettled([shop.item(itemId), shop.similar(itemId)]);
    if (isGone) return;
    const isThere = item.status === "fulfilled" || known !== undefined;
    detail.classList.toggle("is-missing", !isThere);
    similar.hidden = !isThere;
    if (!isThere) return drawMissing(item.reason);
    drawDetail({ ...known, ...item.value }, { isWhole: true });
    if (isView) shop.act("view", { ...known, ...item.value, request_id: null });
    isView = false; // trying again is no second view
    return drawSimilar(near);
  }

  function drawMissing(problem) {
    const [name, text] = problem.status === 404 ? ["No such item.", "It may have left the catalog."] : explain(problem);
    show(detail, h("div", { class: "empty" }, icon("alert"), h("h1", { tabindex: "-1" }, name), h("p", {}, text),
      h("button", { class: "button", type: "button", on: { click: load } }, "Try again")));
  }

  function drawSimilar({ status, value, reason }) {
    if (status === "rejected") {
      show(carousel, h("p", { class: "notice" }, explain(reason).join(" ")));
      return;
    }
    if (!value.recommendations.length) {
      show(carousel, h("p", { class: "notice" }, "Nothing is similar enough yet."));
      return;
    }
    show(carousel, ...value.recommendations.map((one, index) => {
      const element = card({ reason: "Similar to this", ...one }, { hands: { open: hands.open }, showsRank: false, index });
      shop.tracker.observe(element, { item_id: one.item_id, request_id: value.request_id, position: index });
      return element;
    }));
  }

  shop.addEventListener("slate", drawRanks);
  drawRanks();
  load();
  return () => {
    isGone = true;
    shop.removeEventListener("slate", drawRanks);
  };
}

const isPlain = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function facts(item) {
  const flat = Object.entries(item.attributes ?? {}).flatMap(([name, value]) => (isPlain(value) ? Object.entries(value) : [[name, value]]));
  const rows = flat.filter(([name, value]) => !HIDDEN_FACTS.has(name) && value !== "" && value != null);
  if (!rows.length) return null;
  const said = (value) => (Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value));
  return h("dl", { class: "facts" }, rows.slice(0, 8).map(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, said(value))]));
}
