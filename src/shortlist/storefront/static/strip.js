/** The strip: what was sent, what the server knows now, and how it came to this slate. */

import { itemUrl } from "./cards.js";
import { ago, h, icon, ms, picture, show, titleOf } from "./dom.js";

const ICONS = { view: "eye", click: "pointer", cart: "cart", purchase: "bag", like: "heart", dislike: "cross", rating: "star", cancel: "undo", impression: "eye" };
const STATES = { queued: "waiting", sent: "accepted", refused: "refused", dropped: "lost" };
const OPEN_KEY = "shortlist.strip";

/** Draw the strip into `aside` and keep it current. */
export function strip(aside, shop, { startOver }) {
  const summary = h("span", { class: "strip-summary" });
  const body = h("div", { class: "strip-body", id: "strip-body" });
  const chevron = icon("up");
  chevron.classList.add("chevron");
  const bar = h("button", { class: "strip-bar", type: "button", "aria-controls": "strip-body", on: { click: toggle } }, icon("pulse"), h("b", {}, "What just happened"), summary, chevron);
  const boxes = Object.fromEntries(["timing", "log", "user", "why"].map((name) => [name, h("section", { data: { box: name } })]));
  body.append(...Object.values(boxes));
  show(aside, h("h2", { class: "unseen" }, "What just happened"), bar, body);
  setOpen(remembered() ?? matchMedia("(min-width: 1240px)").matches);

  function setOpen(isOpen) {
    aside.dataset.open = String(isOpen);
    bar.setAttribute("aria-expanded", String(isOpen));
  }

  function toggle() {
    const isOpen = aside.dataset.open !== "true";
    setOpen(isOpen);
    try {
      localStorage.setItem(OPEN_KEY, String(isOpen));
    } catch {
      // For this page alone.
    }
  }

  function drawTiming() {
    const slate = shop.slate;
    if (!slate) return show(boxes.timing, h("h3", {}, "This slate"), h("p", { class: "fineprint" }, "No answer yet."));
    const tile = (label, value, extra = "") => h("div", { class: `tile ${extra}` }, h("small", {}, label), h("b", { title: String(value) }, value));
    const missing = Object.entries(slate.missing_sources ?? {});
    const tallest = Math.max(1, ...shop.timings.map((one) => one.browser_ms ?? 0));
    const bars = shop.timings.map((one) => {
      const bar_ = h("i", { class: one.tier === "cache" ? "is-hit" : "", title: `${one.tier}: ${ms(one.browser_ms)}` });
      bar_.style.height = `${Math.max(6, (100 * (one.browser_ms ?? 0)) / tallest)}%`;
      return bar_;
    });
    show(boxes.timing, 
      h("h3", {}, "This slate"),
      h("div", { class: "tiles" },
        tile("answered by", String(slate.tier ?? "–").replaceAll("_", " "), `is-hero${String(slate.tier).length > 9 ? " is-long" : ""}`),
        tile("server", ms(slate.took_ms)),
        tile("browser", ms(slate.browser_ms)),
        tile("features", slate.features?.version != null ? `v${slate.features.version}` : "–"),
        tile("features' age", slate.features?.age_ms == null ? "–" : ago(slate.features.age_ms / 1000)),
        tile("click → slate", shop.reactionMs == null ? "–" : `${shop.reactionMs} ms`, shop.reactionMs == null ? "" : "is-hero"),
      ),
      h("div", { class: "spark", role: "img", "aria-label": "Time of the last requests as the browser saw it" }, bars),
      missing.length ? h("p", { class: "missing" }, "Without ", missing.map(([name, why], index) => [index ? ", " : "", h("b", {}, name.replaceAll("_", " ")), ` (${why})`])) : null,
      h("p", { class: "fineprint" }, "Model ", h("code", {}, slate.model?.version ?? "none"), slate.model?.age_s == null ? "" : `, ${ago(slate.model.age_s)} old`, " · request ", h("a", { href: `/explain?request=${encodeURIComponent(slate.request_id ?? "")}`, title: "Why this slate" }, h("code", {}, String(slate.request_id ?? "–").slice(0, 13)))));
    return undefined;
  }

  function drawLog() {
    const rows = grouped(shop.events).slice(0, 8);
    show(boxes.log, h("h3", {}, "Events sent"), rows.length
      ? h("ol", { class: "log" }, rows.map(({ event, state, detail, count }) =>
        h("li", { class: `is-${state}`, data: { type: event.type, state } }, icon(ICONS[event.type] ?? "pulse"),
          h("span", { title: detail ?? "" }, count > 1 ? `${count} items seen` : sentence(event)),
          h("small", {}, STATES[state] ?? state))))
      : h("p", { class: "fineprint" }, "None yet. Click something: it is sent at once. What you see is sent in batches of 10, or after 5 s."));
  }

  function sentence(event) {
    const title = titleOf(shop.items.get(event.item_id) ?? event);
    const place = event.position == null ? "" : ` #${event.position + 1}`;
    return event.type === "impression" ? `${title}${place} seen` : [h("b", {}, event.type), ` ${title}${place}`];
  }

  function drawUser() {
    const known = shop.features ?? {};
    const last = (known.last_5 ?? []).map((one) => (typeof one === "object" ? one : { ...shop.items.get(String(one)), item_id: String(one) }));
    // The survey's answers are named instead of counted.
    const counts = Object.entries(known.counts ?? {}).filter(([name, count]) => count && name !== "preferences");
    const preferred = known.preferred ?? [];
    const rated = Object.keys(known.stars ?? {}).length;
    const isAnswered = known.counts?.preferences > 0;
    const affinity = pairs(known.affinity).slice(0, 5);
    const top = Math.max(...affinity.map(([, value]) => value), 1e-9);
    const bars = affinity.map(([name, value]) => {
      const fill = h("i", {});
      fill.style.setProperty("--share", String(Math.max(0.02, value / top)));
      return h("li", {}, h("span", { title: name }, name), h("div", {}, fill), h("small", { class: "num" }, value < 10 ? value.toFixed(2) : Math.round(value)));
    });
    show(boxes.user, 
      h("h3", {}, `What is known of ${shop.user?.isGuest ? "this guest" : (shop.user?.name ?? "the user")}`),
      last.length
        ? h("div", { class: "last", "aria-label": "Last five items, newest first" }, last.slice(-5).reverse().map((one) => h("a", { href: itemUrl(one), title: titleOf(one), "aria-label": titleOf(one) }, picture(one))))
        : h("p", { class: "fineprint" }, "No items yet."),
      h("div", { class: "counts" }, h("span", { class: "tag is-accent num" }, `${known.interaction_count ?? 0} interaction${known.interaction_count === 1 ? "" : "s"}`),
        counts.map(([name, count]) => h("span", { class: "tag num" }, `${name} ${count}`))),
      preferred.length ? h("div", { class: "counts", data: { preferred: "" } }, h("span", {}, "Said to like"), preferred.map((name) => h("span", { class: "tag" }, name))) : null,
      isAnswered && !preferred.length ? h("p", { class: "fineprint" }, "Skipped the survey.") : null,
      rated ? h("p", { class: "fineprint" }, `${rated} ${rated === 1 ? "item" : "items"} rated in the survey.`) : null,
      bars.length ? h("ul", { class: "bars", "aria-label": "Affinity by category" }, bars) : null,
      shop.user?.isGuest && (known.interaction_count || isAnswered)
        ? h("button", { class: "button is-small start-over", type: "button", data: { act: "start-over" }, on: { click: startOver } }, icon("undo"), "Start over as a new guest")
        : null);
  }

  function drawWhy() {
    const rows = shop.slate?.recommendations ?? [];
    show(boxes.why, h("h3", {}, "Who proposed what"), rows.length
      ? h("ol", { class: "why" }, rows.map((item, index) =>
        h("li", {}, h("span", { class: "rank num" }, String((item.position ?? index) + 1)), h("span", { title: item.reason }, titleOf(item)), h("small", { class: "num" }, !item.score ? "" : Number(item.score).toFixed(3)),
          h("div", { class: "tags" }, (item.sources ?? []).map((name) => h("span", { class: "tag" }, name.replaceAll("_", " ")))))))
      : h("p", { class: "fineprint" }, "Nothing yet."));
  }

  function drawSummary() {
    const slate = shop.slate;
    if (!slate) return show(summary);
    const fromServer = Object.keys(slate.missing_sources ?? {}).length;
    return show(summary, 
      h("span", { class: "tag is-accent" }, String(slate.tier).replaceAll("_", " ")),
      h("span", { class: "tag num" }, ms(slate.took_ms)),
      shop.reactionMs == null ? "" : h("span", { class: "tag num" }, `click → slate ${shop.reactionMs} ms`),
      fromServer ? h("span", { class: "tag is-amber" }, `${fromServer} missing`) : "");
  }

  const draw = { slate: [drawTiming, drawWhy, drawSummary, drawLog], events: [drawLog], features: [drawUser], user: [drawTiming, drawLog, drawUser, drawWhy, drawSummary] };
  for (const [name, acts] of Object.entries(draw)) shop.addEventListener(name, () => acts.forEach((act) => act()));
  [drawTiming, drawLog, drawUser, drawWhy, drawSummary].forEach((act) => act());
}

/** Impressions that stand together and fared alike are one row: there are many, and one click matters more. */
function grouped(events) {
  const rows = [];
  for (const row of events) {
    const last = rows.at(-1);
    if (row.event.type === "impression" && last?.event.type === "impression" && last.state === row.state) last.count++;
    else rows.push({ ...row, count: 1 });
  }
  return rows;
}

/** [name, value] pairs, greatest first, of {name: value}, [[name, value]] or [{category, score}]. */
function pairs(affinity) {
  const rows = Array.isArray(affinity)
    ? affinity.map((row) => (Array.isArray(row) ? row : [row.category ?? row.name, row.value ?? row.score ?? row.weight]))
    : Object.entries(affinity ?? {});
  return rows.map(([name, value]) => [String(name), Number(value)]).filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]);
}

function remembered() {
  try {
    const value = localStorage.getItem(OPEN_KEY);
    return value === null ? null : value === "true";
  } catch {
    return null;
  }
}
