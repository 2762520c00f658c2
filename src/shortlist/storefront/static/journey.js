/** The first ten clicks of a guest: one column per click, and what each did to the list. */

import { h, show, titleOf } from "./dom.js";

export const CLICKS = 10;
const KINDS = { popular: "popular", explores: "to find out", personal: "because of you" };
const GENERAL = new Set(["popular", "popular_category", "trending", "catalog", "new", "pinned"]);

export const kindOf = (item) => (item.reason_code === "variety" ? "explores" : GENERAL.has(item.reason_code) ? "popular" : "personal");

/** A column of the journey: how many clicks were known, and the list that was then shown. */
export const columnOf = (slate) => ({
  clicks: slate.features?.interaction_count ?? 0,
  items: slate.recommendations.map((item) => ({ item_id: item.item_id, title: titleOf(item), kind: kindOf(item) })),
});

/** Draw `columns` into `section`; nothing where there is nothing to compare. */
export function drawJourney(section, columns) {
  section.hidden = columns.length === 0;
  if (!columns.length) return show(section);
  const byClicks = new Map(columns.map((column) => [column.clicks, column]));
  let before = null;
  const cells = [];
  for (let clicks = 0; clicks <= CLICKS; clicks++) {
    const column = byClicks.get(clicks);
    const was = new Set((before?.items ?? []).map((item) => item.item_id));
    const fresh = column && before ? column.items.filter((item) => !was.has(item.item_id)).length : 0;
    cells.push(h("li", { class: column ? "" : "is-open", data: { clicks } },
      h("div", { class: "journey-list", role: "img", "aria-label": column ? spoken(column, before ? fresh : null) : `after ${clicks} clicks: not yet` },
        column ? column.items.slice(0, 10).map((item) => h("i", { class: `is-${item.kind}${before && !was.has(item.item_id) ? " is-fresh" : ""}`, title: `${item.title} (${KINDS[item.kind]})` })) : null),
      h("small", { class: "num", "aria-hidden": "true" }, String(clicks))));
    before = column ?? before;
  }
  return show(section,
    h("div", { class: "journey-head" }, h("h2", {}, "Your first ten clicks"),
      h("ul", { class: "legend" }, Object.entries(KINDS).map(([kind, words]) => h("li", {}, h("i", { class: `is-${kind}` }), words)), h("li", {}, h("i", { class: "is-ringed" }), "new in the list"))),
    h("ol", { class: "journey" }, cells));
}

function spoken(column, fresh) {
  const counts = Object.entries(KINDS).map(([kind, words]) => [column.items.filter((item) => item.kind === kind).length, words]).filter(([count]) => count);
  const what = counts.map(([count, words]) => `${count} ${words}`).join(", ");
  return `after ${column.clicks} clicks: ${what}${fresh === null ? "" : `; ${fresh} new in the list`}`;
}
