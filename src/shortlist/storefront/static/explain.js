/** Why a slate is as it is: draws GET /explanations/{request_id} with a token that stays in this tab. */

import { send } from "./api.js";
import { h, ms, show } from "./dom.js";
import * as desk from "./sign-in.js";

const HOW = { miss: "made for this user on the way", history: "made for a past that the request brought", fallback: "made of what is popular, because nothing personal could answer" };
const VERDICTS = {
  equal: ["Equal, bit for bit", "Made again from what it was made from, the same came out."],
  named: ["Something is gone", "It cannot be made again, or not alike, and this is why:"],
  differs: ["Different", "Everything it was made from is there, and still something else came out. That is a fault: please report it."],
};

const find = (name) => document.querySelector(`[data-${name}]`);
const form = find("ask");
const found = find("found");

const number = (value) => value.toLocaleString();
const name = (text) => text.replaceAll("_", " ");
const when = (value) => new Date(value).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
const score = (value) => (value == null ? "–" : Number(value).toPrecision(4));

function section(title, ...children) {
  return h("section", { class: "panel" }, h("h2", {}, title), children);
}

function fact(label, ...value) {
  return h("div", { class: "fact" }, h("dt", {}, label), h("dd", {}, value));
}

/** A bar: its share of the longest one. */
function bar(share, kind = "") {
  const fill = h("i", { class: kind });
  fill.style.setProperty("--share", String(Math.max(0.01, Math.min(1, share))));
  return h("div", { class: "bar", "aria-hidden": "true" }, fill);
}

function summary(told) {
  const pool = told.pool;
  return section(
    "What was asked and answered",
    h(
      "dl",
      { class: "facts" },
      fact("For", told.user_id ?? "nobody in particular"),
      fact("Served", when(told.served_ms)),
      fact("Asked for", [`${plural(told.limit, "item")} on page ${told.page}, in ${told.context}`, told.category && `, of ${told.category}`, told.filter && `, where ${told.filter}`].filter(Boolean).join("")),
      fact("Answered by", name(told.tier || told.route)),
      pool && fact("Model", pool.model_version || "none yet"),
      pool && fact("What was known of them", `${plural(pool.interaction_count, "interaction")} (features of version ${pool.user_version})`),
      pool && fact("Catalog", `version ${pool.catalog_version}`),
      pool && fact("Its list", `${plural(pool.candidates ?? 0, "candidate")} scored, the best ${pool.items} kept; ${HOW[pool.how] ?? ""}, ${when(pool.made_ms)}`),
    ),
    pool?.missing && h("p", { class: "note is-warning" }, `Without ${Object.entries(pool.missing).map(([source, why]) => `${name(source)} (${why})`).join(", ")}: the answer did not wait for them.`),
    !pool && h("p", { class: "note is-warning" }, told.route ? `A list of /${told.route} is not cut from a list of the user's own.` : "The record it was cut from is not in the log any more: scores and sources are not known."),
  );
}

function past(told) {
  const steps = told.past ?? [];
  return section(
    "What they did before",
    steps.length
      ? h("ol", { class: "past" }, steps.map((step) => h("li", {}, h("span", { class: "tag" }, step.type), " ", step.title, h("time", { datetime: new Date(step.ts).toISOString() }, when(step.ts)))))
      : h("p", { class: "note" }, "Nothing is known of them, or the log does not go back so far."),
  );
}

function sources(item) {
  const entries = Object.entries(item.sources ?? {});
  if (!entries.length) return null;
  return h("p", { class: "tags" }, entries.map(([source, value]) => h("span", { class: "tag", title: `raw score ${value}` }, `${name(source)} ${score(value)}`)));
}

function effects(item) {
  const said = [];
  if (item.propensity != null) said.push(`A place for new items: drawn among ${item.candidates?.length ?? 1}, with a chance of ${(item.propensity * 100).toFixed(item.propensity < 0.1 ? 1 : 0)} % (propensity ${score(item.propensity)}, seed ${item.seed})`);
  if (item.pinned_by) said.push(`Rule ${item.pinned_by} put it here`);
  if (item.factor != null && item.factor !== 1) said.push(`Rules multiplied its score by ${score(item.factor)}`);
  if (item.place && item.place > item.position + 1) said.push(`Ranked ${item.place}: rules or caps kept others out`);
  return said.length ? h("ul", { class: "effects" }, said.map((text) => h("li", {}, text))) : null;
}

function saw(item) {
  const entries = Object.entries(item.features ?? {});
  if (!entries.length) return null;
  return h("details", {}, h("summary", {}, `What the ranker saw (${entries.length})`), h("dl", { class: "saw" }, entries.map(([feature, value]) => [h("dt", {}, name(feature)), h("dd", { class: "num" }, score(value))])));
}

function items(told) {
  const top = Math.max(...told.items.map((item) => item.score ?? 0), 1e-9);
  return section(
    "The slate",
    h("p", { class: "note" }, "The bar is the score: how likely the model holds a next click on it. Tags say who proposed it, with their own raw scores."),
    h("ol", { class: "items" }, told.items.map((item) =>
      h("li", { data: { item: item.item_id, kind: item.propensity != null ? "new" : item.pinned_by ? "pinned" : "" } },
        h("span", { class: "rank num" }, String(item.position + 1)),
        h("div", { class: "what" },
          h("h3", {}, item.title, " ", h("small", {}, item.item_id)),
          h("p", { class: "reason" }, item.reason || "–"),
          sources(item), effects(item), saw(item)),
        h("div", { class: "score" }, bar((item.score ?? 0) / top), h("span", { class: "num" }, item.score ? score(item.score) : "no score"))))),
  );
}

function rules(told) {
  const written = told.pool?.written ?? [];
  if (!written.length) return null;
  const does = (rule) => (rule.action === "pin" ? `pin at place ${(rule.position ?? 0) + 1}` : rule.factor ? `${rule.action} × ${rule.factor}` : rule.action);
  return section("The shop's rules that applied", h("ul", { class: "rules" }, written.map((rule) => h("li", {}, h("b", {}, rule.name || rule.id), " ", h("span", { class: "tag" }, does(rule)), h("code", {}, rule.where)))));
}

function leftOut(told) {
  const out = told.left_out ?? [];
  if (!out.length) return null;
  return section("Ranked as high, and not shown", h("ol", { class: "out" }, out.map((one) => h("li", {}, h("span", { class: "rank num" }, String(one.place)), h("div", {}, h("b", {}, one.title), h("p", { class: "reason" }, one.why))))));
}

function part(label, of) {
  const rows = of.differences ?? [];
  return [
    h("p", { class: "note" }, h("b", {}, label), " ", VERDICTS[of.verdict][0].toLowerCase(), of.items ? ` (${plural(of.items, "item")})` : ""),
    rows.length > 0 && h("table", {}, h("thead", {}, h("tr", {}, ["Place", "Was", "Is"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("td", { class: "num" }, String(row.place)), h("td", {}, row.was ?? "–", " ", h("small", { class: "num" }, row.was_score == null ? "" : score(row.was_score))), h("td", {}, row.now ?? "–", " ", h("small", { class: "num" }, row.now_score == null ? "" : score(row.now_score))))))),
  ];
}

function replay(told, again) {
  const button = h("button", { class: "button is-main", type: "button", data: { replay: "" }, on: { click: again } }, told.replay ? "Make it again" : "Make it again and compare");
  if (!told.replay) return section("Replay", h("p", { class: "note" }, "Makes the slate again from what it was made from, compares it bit for bit, and shows what the same request would get today."), button);
  const { verdict, pool, slate, took_ms: took, candidates } = told.replay;
  const missing = [...new Map([...(pool.missing ?? []), ...(slate.missing ?? [])].map((one) => [one.input, one])).values()];
  return section(
    "Replay",
    h("p", { class: "verdict", data: { verdict } }, h("b", {}, VERDICTS[verdict][0]), h("span", {}, VERDICTS[verdict][1])),
    missing.length > 0 && h("ul", { class: "effects" }, missing.map((one) => h("li", {}, h("b", {}, name(one.input)), ": ", one.why))),
    part("The list it was cut from:", pool),
    part("The slate:", slate),
    h("p", { class: "note" }, `${plural(candidates ?? 0, "candidate")} scored again in ${ms(took)}.`),
    button,
  );
}

function today(told) {
  if (!told.today) return null;
  const { model_was: was, model_now: now, moved, items: shifts, settings = {} } = told.today;
  const titles = new Map(told.items.map((item) => [item.item_id, item.title]));
  const changed = Object.entries(settings).map(([key, [then, is]]) => `${key} was ${then}, is ${is}`);
  const by = [["rules_gone", "no longer there"], ["rules_came", "new"], ["rules_changed", "changed"]].flatMap(([key, word]) => (told.today[key] ?? []).map((id) => `rule ${id}: ${word}`));
  const place = (value) => (value ? String(value) : "–");
  return section(
    "The same request today",
    h("p", { class: "note" }, was === now ? `The same model, ${now || "none"}. ` : `Model ${now} instead of ${was}. `, moved ? `${plural(moved, "place")} would have another item.` : "The same items in the same places."),
    changed.length + by.length > 0 && h("ul", { class: "effects" }, [...changed, ...by].map((text) => h("li", {}, text))),
    moved > 0 && h("table", {}, h("thead", {}, h("tr", {}, ["Item", "Place then", "Today", "Score then", "Today", ""].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, shifts.filter((one) => one.was !== one.now).map((one) => h("tr", { data: { way: !one.now ? "lost" : !one.was ? "gained" : "" } }, h("td", {}, titles.get(one.item_id) ?? one.item_id), h("td", { class: "num" }, place(one.was)), h("td", { class: "num" }, place(one.now)), h("td", { class: "num" }, score(one.was_score)), h("td", { class: "num" }, score(one.now_score)), h("td", {}, one.why ?? ""))))),
  );
}

function draw(told) {
  const again = () => explain(told.request_id, true);
  show(found, summary(told), items(told), replay(told, again), today(told), leftOut(told), rules(told), past(told));
  if (told.replay) find("found").querySelector("[data-verdict]")?.scrollIntoView({ block: "center" });
}

const ask = (why = "") => desk.ask(found, why);

async function explain(requestId, isReplay = false) {
  if (!desk.key()) return ask();
  const query = isReplay ? "?replay=true&against=today" : "";
  const pressed = found.querySelector("[data-replay]");
  if (pressed) pressed.disabled = true;
  try {
    const { data } = await send(`/explanations/${encodeURIComponent(requestId)}${query}`, { token: desk.key() });
    desk.signedIn();
    draw(data);
  } catch (error) {
    if (desk.isSignedOut(error)) return ask(error.message);
    show(found, desk.refused(error.message));
  }
}

function asked() {
  return new URLSearchParams(location.search).get("request") ?? "";
}

function refresh() {
  form.elements.request.value = asked();
  if (!desk.key()) ask();
  else if (asked()) explain(asked());
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  history.pushState(null, "", `?request=${encodeURIComponent(form.elements.request.value.trim())}`);
  refresh();
});
desk.onSignIn(() => {
  desk.signedIn();
  show(found);
  refresh();
}, ask);
window.addEventListener("popstate", refresh);
refresh();
