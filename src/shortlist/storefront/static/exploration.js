/** The ledger of new items: draws GET /exploration with a token that stays in this tab. */

import { send } from "./api.js";
import { h, picture, show, titleOf } from "./dom.js";
import * as desk from "./sign-in.js";

const EVERY_MS = 5_000;
const WORDS = {
  exploring: "being tried out",
  promoted: "promoted",
  retired: "stopped",
  waiting: "waits its turn",
  unavailable: "not on sale",
  graduated: "ordinary item now",
  gone: "left the shop",
};
const WHY = { above: "proved above", below: "proved below", limit: "undecided at the limit" };

const found = document.querySelector("[data-found]");
let shown = "";

const number = (value) => value.toLocaleString();
const share = (value, digits = 1) => `${(value * 100).toFixed(digits)} %`;
const clicks = (value) => (value == null ? "not known yet" : `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)}`);

function figure(label, value, note = "") {
  return h("div", { class: "figure" }, h("dt", {}, label), h("dd", { class: "num" }, value), note && h("p", {}, note));
}

/** The clicks per impression with their bounds on a scale, and the threshold to pass or miss. */
function interval(item, ledger) {
  const top = Math.max(3 * ledger.ctr, Math.min(1, item.ctr_high) * 1.1, 0.01);
  const at = (value) => 200 * Math.min(1, value / top);
  const svg = (name, props) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(props)) element.setAttribute(key, value);
    return element;
  };
  const picture = svg("svg", { viewBox: "0 0 200 18", class: "interval", role: "img" });
  picture.setAttribute("aria-label", `${share(item.ctr ?? 0)}, between ${share(item.ctr_low)} and ${share(item.ctr_high)}`);
  picture.append(
    svg("line", { x1: 0, x2: 200, y1: 9, y2: 9, class: "scale" }),
    svg("rect", { x: at(item.ctr_low), y: 5, width: Math.max(2, at(item.ctr_high) - at(item.ctr_low)), height: 8, rx: 4, class: "between" }),
    svg("line", { x1: at(ledger.ctr), x2: at(ledger.ctr), y1: 0, y2: 18, class: "threshold" }),
  );
  if (item.ctr != null) picture.append(svg("circle", { cx: at(item.ctr), cy: 9, r: 4, class: "at" }));
  return picture;
}

function next(item, ledger) {
  if (item.decision) {
    const { why, impressions, clicks: seen } = item.decision;
    return `${WHY[why] ?? why} ${why === "limit" ? "" : share(ledger.ctr)} with ${number(seen)} of ${number(impressions)}`;
  }
  if (item.until_decision == null) return "";
  return `judged in ${number(item.until_decision)} more`;
}

function row(item, ledger) {
  const bar = h("progress", { max: Math.max(1, item.promised), value: item.delivered, "aria-label": "seen of promised" });
  return h(
    "li",
    { class: "row", data: { item: item.item_id, status: item.status } },
    picture(item),
    h("div", { class: "who" }, h("h2", {}, titleOf(item)), h("p", {}, item.item_id), h("span", { class: "status" }, WORDS[item.status] ?? item.status)),
    h(
      "dl",
      {},
      figure("Users", share(item.share, 0)),
      figure("Seen of promised", `${number(item.delivered)} of ${number(item.promised)}`, bar),
      figure("Clicks, bought", `${number(item.clicks)}, ${number(item.purchases)}`),
      figure("Clicks per impression", item.ctr == null ? "–" : share(item.ctr, 2), item.ctr != null && interval(item, ledger)),
      figure("Cost in clicks", clicks(item.cost), item.place_ctr == null ? "" : `its places earn ${share(item.place_ctr)} without it`),
      figure("Decision", item.decision ? WORDS[item.decision.verdict] : "none yet", next(item, ledger)),
    ),
  );
}

function draw(ledger) {
  const open = ledger.items.filter((item) => item.status === "exploring").length;
  show(
    found,
    h(
      "dl",
      { class: "sums" },
      figure("Being tried out", number(open)),
      figure("Places promised", number(ledger.promised)),
      figure("Seen", number(ledger.delivered)),
      figure("Clicked", number(ledger.clicks)),
      figure("Cost in clicks", clicks(ledger.cost)),
    ),
    h(
      "p",
      { class: "rule" },
      ledger.enabled
        ? `A new item is shown to ${share(ledger.share, 0)} of users, at most ${ledger.per_user} times each. At every ${number(ledger.impressions)} impressions it is judged: proved above ${share(ledger.ctr)} it goes to ${share(ledger.promoted_share, 0)}, proved below it stops; at ${number(ledger.limit)} it stops undecided.`
        : "Exploration is off: new items wait for the next training.",
    ),
    ledger.items.length ? h("ul", { class: "rows" }, ledger.items.map((item) => row(item, ledger))) : h("p", { class: "empty" }, "Nothing is new since the last training."),
  );
}

function ask(why = "") {
  desk.ask(found, why);
  shown = "";
}

async function refresh() {
  if (!desk.key()) return ask();
  try {
    const { data } = await send("/exploration", { token: desk.key() });
    desk.signedIn();
    const text = JSON.stringify(data);
    if (text !== shown) draw(data); // else nothing is drawn anew under the reader's eyes
    shown = text;
  } catch (error) {
    if (desk.isSignedOut(error)) return ask(error.message);
    if (!shown) show(found, desk.refused(error.message));
  }
}

desk.onSignIn(refresh, ask);
refresh();
setInterval(() => document.hidden || !desk.key() || refresh(), EVERY_MS);
