/** The operator's rules: lists, writes and tries them out with a token that stays in this tab. */

import { send } from "./api.js";
import { h, show } from "./dom.js";
import * as desk from "./sign-in.js";

const STATES = { on: "holds", off: "off", waits: "its time will come", over: "over" };
const LISTS = ["contexts", "categories"];
const NUMBERS = ["factor", "position", "priority"];
const TIMES = ["start", "end"];

const find = (name) => document.querySelector(`[data-${name}]`);
const editor = find("editor");
const fields = editor.elements;
let edited = null; // the rule that is changed; null: a new one

const number = (value) => value.toLocaleString();
const when = (text) => new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

const call = (method, path, body) => send(path, { method, body, token: desk.key() });

/** Do something that asks the server; what it refuses stands in `where`, and a token that does not hold signs out. */
async function attempt(where, act) {
  try {
    show(where);
    return await act();
  } catch (error) {
    if (desk.isSignedOut(error)) return ask(error.message);
    show(where, desk.refused(error.message));
  }
}

function ask(why = "") {
  find("new").hidden = true;
  editor.hidden = true;
  show(find("rules"));
  desk.ask(find("said"), why);
}

/** As `attempt`, for the rule in the form: what is wrong with a field stands at that field. */
async function attemptWritten(act) {
  settle();
  await attempt(find("tried"), async () => {
    try {
      await act();
    } catch (error) {
      if (error.status !== 400) throw error;
      const why = error.message.replace(/^rule\./, ""); // of a draft
      const field = fields.namedItem(/^\w+/.exec(why)?.[0] ?? "");
      if (!field || field.closest("[hidden]")) throw new Error(why);
      settle(); // it may have been tried twice
      show(find("tried"));
      field.setAttribute("aria-invalid", "true");
      field.after(desk.refused(why));
      field.focus();
    }
  });
}

/** Nothing in the form is refused any more. */
function settle() {
  for (const field of editor.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const said of editor.querySelectorAll(".refused")) said.remove();
}

async function refresh() {
  if (!desk.key()) return ask();
  await attempt(find("said"), async () => {
    const { data } = await call("GET", "/rules");
    desk.signedIn();
    find("new").hidden = false;
    const rows = data.rules.map(row);
    show(find("rules"), rows.length ? rows : h("li", { class: "empty" }, "No rules yet: every slate is the recommender’s own."));
  });
}

function effect(rule) {
  if (rule.action === "pin") return `pin at place ${rule.position ?? 0}`;
  if (rule.action === "boost") return `boost × ${rule.factor ?? 2}`;
  if (rule.action === "bury") return `bury × ${rule.factor ?? 0.5}`;
  return rule.action;
}

/** What a rule names that no item has now. */
const warned = (warnings = []) => warnings.map((said) => h("p", { class: "warned" }, said));

function row({ rule, state, matches, warnings }) {
  const said = [
    rule.users && `users ${rule.users}`,
    rule.contexts.length && `in ${rule.contexts.join(", ")}`,
    rule.categories.length && `for ${rule.categories.join(", ")}`,
    rule.start && `from ${when(rule.start)}`,
    rule.end && `until ${when(rule.end)}`,
    matches != null && `${number(matches)} items`,
  ].filter(Boolean);
  const act = (label, press, kind = "") => h("button", { class: `button is-small ${kind}`, type: "button", on: { click: press } }, label);
  return h(
    "li",
    { class: "row", data: { rule: rule.id, state } },
    h(
      "div",
      { class: "what" },
      h("h2", {}, rule.name || rule.id),
      h("p", { class: "tags" }, h("span", { class: "tag", data: { action: rule.action } }, effect(rule)), h("span", { class: "state" }, STATES[state] ?? state)),
      h("code", {}, rule.where),
      h("p", { class: "more" }, said.join(" · ")),
      warned(warnings),
    ),
    h(
      "div",
      { class: "actions" },
      act(rule.enabled ? "Turn off" : "Turn on", () => change(rule.id, { enabled: !rule.enabled })),
      act("Edit", () => edit(rule)),
      act("Delete", () => remove(rule), "is-risky"),
    ),
  );
}

async function change(id, changes) {
  await attempt(find("said"), async () => {
    await call("PATCH", `/rules/${encodeURIComponent(id)}`, changes);
    await refresh();
  });
}

async function remove(rule) {
  if (!confirm(`Delete the rule ${rule.name || rule.id}?`)) return;
  await attempt(find("said"), async () => {
    await call("DELETE", `/rules/${encodeURIComponent(rule.id)}`);
    await refresh();
  });
}

/** A time as the input wants it: local, without a zone. */
function local(text) {
  const moment = new Date(text);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function edit(rule) {
  edited = rule;
  editor.reset();
  find("title").textContent = rule ? `Edit ${rule.name || rule.id}` : "New rule";
  fields.id.disabled = Boolean(rule);
  for (const [name, value] of Object.entries(rule ?? {})) {
    const field = fields[name];
    if (!field) continue;
    if (name === "enabled") field.checked = value;
    else if (LISTS.includes(name)) field.value = value.join(", ");
    else if (TIMES.includes(name)) field.value = value ? local(value) : "";
    else field.value = value ?? "";
  }
  show(find("tried"));
  settle();
  suit();
  editor.hidden = false;
  editor.scrollIntoView({ block: "nearest" });
  (rule ? fields.name : fields.id).focus();
}

/** Show the fields that go with the action. */
function suit() {
  for (const field of editor.querySelectorAll("[data-for]")) {
    field.hidden = !field.dataset.for.split(" ").includes(fields.action.value);
  }
}

/** The rule as it stands in the form. */
function written() {
  const rule = { enabled: fields.enabled.checked };
  for (const name of ["id", "name", "action", "where", "users"]) rule[name] = fields[name].value.trim();
  for (const name of LISTS) rule[name] = fields[name].value.split(",").map((one) => one.trim()).filter(Boolean);
  for (const name of NUMBERS) rule[name] = fields[name].value === "" || fields[name].closest("[hidden]") ? null : Number(fields[name].value);
  for (const name of TIMES) rule[name] = fields[name].value ? new Date(fields[name].value).toISOString() : null;
  rule.priority ??= 0;
  rule.id = edited ? edited.id : rule.id || null;
  return rule;
}

function result(found) {
  if (!found.slates) return [h("p", { class: "empty" }, "No slates were served yet: open the storefront first."), ...warned(found.warnings)];
  const moved = (title, items) =>
    items.length &&
    h("div", { class: "moved" }, h("h3", {}, title), h("ol", {}, items.map((item) => h("li", {}, h("span", {}, item.title || item.item_id), h("b", { class: "num" }, number(item.slates))))));
  const figure = (label, value) => h("div", {}, h("dt", {}, label), h("dd", { class: "num" }, value));
  return h(
    "div",
    { class: "result", data: { affected: found.affected } },
    h(
      "dl",
      {},
      figure("of slates differ", `${(found.share * 100).toFixed(1)} %`),
      figure("slates looked at", number(found.slates)),
      figure("items it is about", number(found.matches)),
      figure("left short", found.short_before ? `${number(found.short)} (now ${number(found.short_before)})` : number(found.short)),
      figure("filled up with popular", number(found.refilled)),
    ),
    warned(found.warnings),
    h("div", { class: "both" }, moved("Gained, in slates", found.gained), moved("Lost, in slates", found.lost)),
  );
}

desk.onSignIn(refresh, ask);
find("new").addEventListener("click", () => edit(null));
find("cancel").addEventListener("click", () => (editor.hidden = true));
fields.action.addEventListener("change", suit);
find("try").addEventListener("click", () =>
  attemptWritten(async () => {
    show(find("tried"), h("p", { class: "empty" }, "Looking at the last slates …"));
    const { data } = await call("POST", "/rules/dry-run", { rule: written() });
    show(find("tried"), result(data));
  }),
);
editor.addEventListener("submit", (event) => {
  event.preventDefault();
  attemptWritten(async () => {
    const rule = written();
    if (edited) await call("PATCH", `/rules/${encodeURIComponent(rule.id)}`, rule);
    else await call("POST", "/rules", rule);
    editor.hidden = true;
    await refresh();
  });
});

refresh();
