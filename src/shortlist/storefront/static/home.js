/** The front of the shop: who shops, the categories, and the slate. */

import { card, waitingCards } from "./cards.js";
import { ago, h, hue, icon, show } from "./dom.js";
import { drawJourney } from "./journey.js";
import { MovingList } from "./moving.js";

const TIERS = {
  cache: "from the cache",
  fresh: "computed just now",
  onboarding: "first picks: some popular, some to find out",
  stale: "an earlier slate, while the server catches up",
  popular_category: "popular in the categories you like",
  popular: "what is popular overall",
  trending: "what is trending right now",
  catalog: "from the catalog, as nothing is popular yet",
};
const FALLBACKS = new Set(["stale", "popular_category", "popular", "trending", "catalog"]);

export function avatar(person) {
  const letters = String(person.name ?? person.user_id).trim().split(/\s+/).map((word) => [...word][0] ?? "");
  const face = h("span", { class: "avatar", "aria-hidden": "true" }, person.isGuest ? icon("eye") : letters.slice(0, 2).join("").toUpperCase());
  face.style.setProperty("--hue", String(person.isGuest ? 150 : hue(person.user_id)));
  if (typeof person.avatar === "string" && /^(\/|https?:|data:image\/)/.test(person.avatar)) {
    const image = h("img", { alt: "", src: person.avatar });
    image.addEventListener("error", () => image.remove());
    show(face, image);
  }
  return face;
}

export function placeUrl({ category = null, page = 1 } = {}) {
  const query = new URLSearchParams();
  if (category) query.set("category", category);
  if (page > 1) query.set("page", String(page));
  return query.size ? `#/?${query}` : "#/";
}

/** Draw the home page into `main` and keep it current. Returns a function that lets go of it. */
export function home(main, shop, { hands, place }) {
  const personas = h("div", { class: "personas", role: "group", "aria-label": "Shop as" });
  const title = h("h1", { tabindex: "-1" });
  const subtitle = h("p", {});
  const tier = h("span", { class: "tag", data: { tier: "" } });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Categories" });
  const notices = h("div", { data: { notices: "" } });
  const journey = h("section", { class: "panel", data: { journey: "" }, "aria-label": "Your first ten clicks", hidden: true });
  const grid = h("div", { class: "grid", data: { slate: "" }, "aria-busy": "true" }, waitingCards(10));
  const pager = h("nav", { class: "pager", "aria-label": "Pages" });
  const list = new MovingList(grid);
  let isFirst = true;
  let countdown = null;

  show(main, personas, h("div", { class: "slate-head" }, h("div", {}, title, subtitle), tier), chips, notices, journey, h("h2", { class: "unseen" }, "Recommendations"), grid, pager);

  function drawPersonas() {
    const known = [...shop.personas, shop.guest()];
    const isKnown = known.some((one) => String(one.user_id) === shop.user?.user_id);
    const people = isKnown || !shop.user ? known : [shop.user, ...known];
    show(personas, ...people.map((one) =>
      h("button", { class: "persona", type: "button", data: { user: one.user_id },
        "aria-pressed": String(String(one.user_id) === shop.user?.user_id), on: { click: () => hands.choose(one) } },
      avatar(one),
      h("span", {}, h("b", {}, one.name ?? one.user_id), h("small", { title: one.blurb ?? "" }, one.blurb ?? "")))), newcomer(), anybody());
    personas.querySelector('[aria-pressed="true"]')?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Somebody new, who is asked what they like. */
  function newcomer() {
    return h("button", { class: "persona", type: "button", data: { new: "" }, on: { click: () => hands.arrive() } },
      h("span", { class: "avatar is-plain", "aria-hidden": "true" }, icon("spark")),
      h("span", {}, h("b", {}, "I'm new here"), h("small", {}, "Say what you like, and see what each click does.")));
  }

  /** Any user of the data, by id: a shop's own data has no personas. */
  function anybody() {
    const input = h("input", { "aria-label": "Shop as the user with this id", placeholder: "Any user id", autocomplete: "off", spellcheck: "false", maxlength: "1024" });
    return h("form", { class: "persona is-form", data: { anybody: "" }, on: { submit: (event) => {
      event.preventDefault();
      const userId = input.value.trim();
      if (userId) hands.choose(shop.somebody(userId));
    } } }, input, h("button", { class: "button is-small", type: "submit" }, "Go"));
  }

  function drawHead() {
    const { category, page } = place;
    const who = shop.user?.isGuest ? "you" : (shop.user?.name ?? "you").replace(/^The /, "the ");
    title.textContent = category ? `${category} for ${who}` : `Picked for ${who}`;
    const slate = shop.slate;
    const count = slate?.features?.interaction_count ?? 0;
    const parts = [];
    if (page > 1) parts.push(`Page ${page}`);
    if (slate) {
      const preferred = shop.features?.preferred ?? [];
      if (count) parts.push(`${count} ${count === 1 ? "interaction" : "interactions"} known`);
      if (preferred.length) parts.push(`You said you like ${listed(preferred)}`);
      if (!count && !preferred.length) parts.push("Nothing known yet: click something you like");
      if (shop.marks.size) parts.push("just changed by what you did");
    }
    subtitle.textContent = parts.join(" · ") || " ";
    tier.hidden = !slate;
    tier.className = `tag ${FALLBACKS.has(slate?.tier) ? "is-amber" : "is-accent"}`;
    tier.dataset.tier = slate?.tier ?? "";
    tier.textContent = TIERS[slate?.tier] ?? slate?.tier ?? "";
  }

  function drawChips() {
    const names = [null, ...shop.categories];
    if (place.category && !names.includes(place.category)) names.splice(1, 0, place.category);
    show(chips, ...(names.length < 2 ? [] : names).map((name) =>
      h("button", { class: "chip", type: "button", "aria-pressed": String(name === place.category), data: { category: name ?? "" },
        on: { click: () => { location.hash = placeUrl({ category: name }); } } }, name ?? "Everything")));
  }

  function drawSlate({ isAnimated = true } = {}) {
    const slate = shop.slate;
    if (!slate || slate.category !== place.category || slate.page !== place.page) return;
    grid.classList.remove("is-busy");
    grid.setAttribute("aria-busy", "false");
    if (!slate.recommendations.length) {
      show(grid);
      show(notices, nothing(place, slate));
    } else {
      list.update(slate.recommendations, (item, index) => {
        const element = card(item, {
          mark: shop.marks.get(item.item_id),
          hands,
          index: (item.position ?? index),
          isLiked: shop.opinions.get(item.item_id) === "like",
          isEager: index < 6,
        });
        shop.tracker.observe(element, { item_id: item.item_id, request_id: slate.request_id, position: item.position ?? index });
        return element;
      }, { isAnimated: isAnimated && !isFirst });
      show(notices, ...(slate.model?.version ? [] : [modelless()]));
    }
    drawJourney(journey, place.category || place.page > 1 ? [] : shop.journey);
    isFirst = false;
    const pages = [];
    if (place.page > 1) pages.push(h("a", { class: "button", href: placeUrl({ ...place, page: place.page - 1 }), rel: "prev" }, icon("back"), "Back"));
    if (place.page > 1 || slate.next_page) pages.push(h("span", { class: "num" }, `Page ${place.page}`));
    if (slate.next_page) pages.push(h("a", { class: "button", href: placeUrl({ ...place, page: slate.next_page }), rel: "next" }, "Next page", icon("next")));
    show(pager, ...pages);
    drawHead();
  }

  function drawProblem() {
    const problem = shop.problem;
    if (!problem) return;
    grid.classList.remove("is-busy");
    grid.setAttribute("aria-busy", "false");
    if (!shop.slate || shop.slate.category !== place.category || shop.slate.page !== place.page) {
      show(grid);
      show(pager);
    }
    const again = h("span", { class: "num" });
    const tick = () => {
      const left = problem.againAt == null ? null : Math.max(0, Math.ceil((problem.againAt - Date.now()) / 1000));
      again.textContent = left === null ? "" : left ? `Trying again in ${left} s.` : "Trying again …";
    };
    clearInterval(countdown);
    countdown = setInterval(tick, 1000);
    tick();
    const [name, text] = explain(problem);
    show(notices, h("div", { class: `notice ${problem.status === 429 ? "is-warm" : "is-bad"}`, role: "alert", data: { problem: problem.status } },
      icon(problem.status === 429 ? "clock" : "alert"),
      h("div", {}, h("strong", {}, ended(name)), " ", ended(text), " ", again),
      problem.status === 400 && place.category
        ? h("a", { class: "button is-small", href: "#/" }, "Back to everything")
        : h("button", { class: "button is-small", type: "button", on: { click: () => shop.show() } }, "Try now")));
  }

  const listen = {
    user: () => { drawPersonas(); drawHead(); },
    categories: drawChips,
    features: drawHead,
    slate: (event) => { clearInterval(countdown); drawSlate({ isAnimated: Boolean(event.detail?.isReaction) || !isFirst }); },
    busy: () => {
      if (shop.slate?.category === place.category && shop.slate?.page === place.page) grid.classList.add("is-busy");
      else show(grid, ...waitingCards(10));
      grid.setAttribute("aria-busy", "true");
    },
    problem: drawProblem,
  };
  for (const [name, act] of Object.entries(listen)) shop.addEventListener(name, act);
  drawPersonas();
  drawChips();
  drawHead();
  drawSlate({ isAnimated: false });
  if (shop.problem) drawProblem();

  return () => {
    clearInterval(countdown);
    for (const [name, act] of Object.entries(listen)) shop.removeEventListener(name, act);
  };
}

/** "A, B and 2 more": names as a sentence holds them. */
function listed(names) {
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} more`] : names;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

const ended = (text) => (/[.!?…]$/.test(text) || !text ? text : `${text}.`);

export function explain(problem) {
  if (problem.status === 429) return ["A little fast.", problem.detail || "This user has asked often enough for this minute."];
  if (problem.status === 404 || problem.status === 403) {
    return [problem.title, problem.detail || "This page needs a server in development mode (`shortlist demo`), which makes its own tokens."];
  }
  return [problem.title, problem.detail];
}

function modelless() {
  return h("div", { class: "notice is-warm", data: { notice: "no-model" } }, icon("clock"),
    h("div", {}, h("strong", {}, "No model yet."), " Until then the shop shows what is popular. Run ", h("code", {}, "shortlist train"), " beside the server: the page changes by itself."));
}

function nothing(place, slate) {
  const isNarrow = Boolean(place.category) || place.page > 1;
  return h("div", { class: "empty", data: { empty: "" } }, icon("bag"),
    h("h2", {}, isNarrow ? "Nothing more here" : "Nothing to recommend yet"),
    isNarrow
      ? h("p", {}, "Every item of this corner is bought, hidden or out of stock.")
      : h("p", {}, "The catalog holds no item that may be shown. Bring some in with ", h("code", {}, "shortlist import"), "; ",
        h("code", {}, "shortlist doctor"), " says what is missing."),
    isNarrow ? h("a", { class: "button", href: "#/" }, "Back to everything") : null,
    slate.model?.age_s ? h("small", {}, `model ${ago(slate.model.age_s)} old`) : null);
}
